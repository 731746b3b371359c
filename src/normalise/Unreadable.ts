/** A fact that cannot be read: a value, not a thrown error, because a source meets many. It goes to the dead letters. */
export interface Unreadable {
  readonly _tag: "Unreadable"
  /** The field that is missing or wrong, as a path; "" when the text is no JSON object. */
  readonly field: string
  /** A sentence without the offending value, which may be large or secret. */
  readonly reason: string
}

export const unreadable = (field: string, reason: string): Unreadable => ({ _tag: "Unreadable", field, reason })
