/** Changes as an activity shows them: as texts, within bounds, and without what is redacted on either side. */
import type { Json } from "../../domain/AuditRecord.ts"
import type { FieldChange, FieldChanges } from "../../domain/fieldChanges.ts"
import { fieldPathText } from "../../domain/fieldPath.ts"
import { redactedText } from "../../normalise/secretText.ts"

/** As existing clients decode it. */
export interface ShownChange {
  readonly field: string
  readonly old?: string
  readonly new?: string
}

/** What is added to an activity's spec. */
export interface ShownChanges {
  readonly changes: ReadonlyArray<ShownChange>
  /** How many more there are, which are too many to show or may be others'; left out where none. */
  readonly changesLeftOut?: number
}

/** With two texts each, 200 KB at most. */
export const changesMax = 100

/** UTF-16 code units. */
export const textLengthMax = 1_000

export const shownChanges = ({ changes, leftOut }: FieldChanges): ShownChanges => {
  const shown = changes.slice(0, changesMax)
  const more = leftOut + changes.length - shown.length
  return { changes: shown.map(shownChange), ...(more === 0 ? {} : { changesLeftOut: more }) }
}

const shownChange = (change: FieldChange): ShownChange => {
  const { new: now, old } = shortened(withoutHidden({ old: textOf(change.old), new: textOf(change.new) }))
  return {
    field: shortText(fieldPathText(change.path)),
    ...(old === undefined ? {} : { old }),
    ...(now === undefined ? {} : { new: now })
  }
}

interface Texts {
  readonly old: string | undefined
  readonly new: string | undefined
}

/** Texts as they are, anything else as JSON. */
const textOf = (value: Json | undefined): string | undefined => {
  if (value === undefined || typeof value === "string") return value
  return isDeeperThan(value, shownDepthMax) ? "…" : JSON.stringify(value)
}

/** Writing JSON takes a frame of the stack for each level. */
const shownDepthMax = 100

const isDeeperThan = (value: Json | undefined, depth: number): boolean =>
  typeof value === "object" &&
  value !== null &&
  (depth === 0 || Object.values(value).some((inner) => isDeeperThan(inner, depth - 1)))

/**
 * The collector may have learnt only between the two records that something is secret: then it stands in one of them as
 * it was.
 */
const withoutHidden = ({ new: now, old }: Texts): Texts => {
  const [before, after] = [marksIn(old), marksIn(now)]
  return {
    old: old !== undefined && before < after ? redactedText : old,
    new: now !== undefined && after < before ? redactedText : now
  }
}

const marksIn = (text: string | undefined): number => (text?.split(redactedText).length ?? 1) - 1

/** Of long texts what is alike at their beginning is left out, line by line, so that what differs is seen. */
const shortened = ({ new: now, old }: Texts): Texts => {
  if (Math.max(old?.length ?? 0, now?.length ?? 0) <= textLengthMax) return { old, new: now }
  const alike = old === undefined || now === undefined ? 0 : lineStart(old, alikeLength(old, now))
  return { old: excerpt(old, alike), new: excerpt(now, alike) }
}

const alikeLength = (one: string, other: string): number => {
  let length = 0
  while (length < one.length && one[length] === other[length]) length++
  return length
}

/** Where the line begins that `at` is in; of a long line, a little before. */
const lineStart = (text: string, at: number): number => Math.max(text.lastIndexOf("\n", at - 1) + 1, at - 100, 0)

const excerpt = (text: string | undefined, from: number): string | undefined =>
  text === undefined ? undefined : shortText(from === 0 ? text : `…${text.slice(from)}`)

const shortText = (text: string): string =>
  (text.length <= textLengthMax ? text : `${text.slice(0, textLengthMax - 1)}…`).toWellFormed()
