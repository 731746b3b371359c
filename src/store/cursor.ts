/**
 * Continue tokens: where a list goes on, bound to the query and the caller that began it.
 *
 * A token is opaque, says nothing that its holder may not know, and serves any number of times until it expires. All
 * replicas share the key.
 */
import { createHmac, timingSafeEqual } from "node:crypto"
import { Result, Schema } from "effect"
import { type Scope, scopeText } from "../domain/Scope.ts"
import type { Position } from "./Position.ts"

/** It was changed, is not ours, or belongs to another query or caller. */
export class CursorRefused extends Schema.TaggedError<CursorRefused>()("CursorRefused", {
  problem: Schema.String
}) {}

/** It is older than {@link cursorAgeMillisMax}. */
export class CursorExpired extends Schema.TaggedError<CursorExpired>()("CursorExpired", {
  ageMillis: Schema.Number
}) {}

/** Long enough to read ten million rows in pages of a thousand. */
export const cursorAgeMillisMax = 60 * 60 * 1000

/** No token that we make comes near: a longer one is not read at all. */
const textLengthMax = 4_096

/** What every page of a list shares, frozen at its first page, and where the next one starts. */
export interface Cursor {
  readonly position: Position
  /** "Now" at the first page, in milliseconds since 1970: what a relative window counts from. */
  readonly nowMillis: number
  /** The window as it was resolved then, RFC 3339. */
  readonly start: string
  readonly end: string
  /** The first page's, which all pages carry. */
  readonly resourceVersion: string
}

export interface CursorBinding {
  /** At least 16 bytes. */
  readonly key: Uint8Array
  readonly scope: Scope
  /** Everything of the query that must not change between pages, in one text: filter, search, namespace, selectors. */
  readonly query: string
}

export const cursorText = (cursor: Cursor, binding: CursorBinding): string => {
  const body = Buffer.from(
    JSON.stringify([
      cursor.position.time,
      cursor.position.id,
      cursor.nowMillis,
      cursor.start,
      cursor.end,
      cursor.resourceVersion
    ])
  )
  return Buffer.concat([signatureOf(body, binding), body]).toString("base64url")
}

/** @param nowMillis milliseconds since 1970; a token is as old as its list's "now" */
export const cursorFrom = (
  text: string,
  binding: CursorBinding,
  nowMillis: number
): Result.Result<Cursor, CursorRefused | CursorExpired> => {
  if (text.length > textLengthMax || !/^[A-Za-z0-9_-]+$/.test(text)) return refused("it is not a continue token")
  const bytes = Buffer.from(text, "base64url")
  // Its last character has bits that say nothing: of those that mean the same, one is what we gave.
  if (bytes.toString("base64url") !== text) return refused("it is not a continue token")
  const body = bytes.subarray(signatureBytes)
  const signature = bytes.subarray(0, signatureBytes)
  // Signed by us for this query and scope, so its content is what cursorText put there.
  if (signature.length !== signatureBytes || !timingSafeEqual(signature, signatureOf(body, binding))) {
    return refused("it was made for another query or caller, or changed")
  }
  const [time, id, began, start, end, resourceVersion] = JSON.parse(body.toString()) as readonly [
    string,
    string,
    number,
    string,
    string,
    string
  ]
  const ageMillis = nowMillis - began
  return ageMillis > cursorAgeMillisMax
    ? Result.fail(new CursorExpired({ ageMillis }))
    : Result.succeed({ position: { time, id }, nowMillis: began, start, end, resourceVersion })
}

const signatureBytes = 32

/** Over the parts as one JSON text, so that no part can lend characters to its neighbour. */
const signatureOf = (body: Uint8Array, binding: CursorBinding): Buffer =>
  createHmac("sha256", binding.key)
    .update(JSON.stringify([scopeText(binding.scope), binding.query]))
    .update("\n")
    .update(body)
    .digest()

const refused = (problem: string) => Result.fail(new CursorRefused({ problem }))
