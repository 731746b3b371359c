/** Answers that clients ask for again and again: under a tag of their content, which is a 304 while it stays. */
import { createHash } from "node:crypto"
import type { Answer, Call } from "./Call.ts"

/** The same on every replica: only the content decides. */
export const hashOf = (text: string): string => createHash("sha256").update(text).digest("hex").toUpperCase()

export interface TaggedText {
  readonly text: string
  readonly contentType: string
  readonly headers?: Readonly<Record<string, string>>
  /** Where it is known already. */
  readonly hash?: string
}

export const taggedAnswer = (call: Call, { contentType, hash, headers, text }: TaggedText): Answer => {
  const tag = `"${hash ?? hashOf(text)}"`
  const isKnown = tagsFrom(call.header("if-none-match")).includes(tag)
  return {
    _tag: "Text",
    status: isKnown ? 304 : 200,
    contentType,
    text: isKnown ? "" : text,
    headers: { ...headers, etag: tag, vary: "Accept" }
  }
}

/** A proxy between may have compressed what it passed on, and marked the tag as weak: it is still the same content. */
const tagsFrom = (header: string): ReadonlyArray<string> =>
  header.split(",").map((tag) => tag.trim().replace(/^W\//, ""))
