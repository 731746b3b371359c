/**
 * Texts of audit records made shorter before they are parsed: requestObject and responseObject are most of a record, and
 * few rules look into them.
 *
 * Bodies are found where kube-apiserver writes them. What is found inside something else matters as little: nothing that
 * is looked at stands below a key of these names. What is left out need not be JSON; its quotes and brackets only pair.
 *
 * @decision 0014-bodies-unread
 */
import { stringEnd, valueEnd } from "../domain/jsonText.ts"

/** With the first character of their values: a patch may be a list, and is left as it is. */
const bodyStarts = [',"requestObject":{', ',"responseObject":{'] as const

/** What both end with: the one that is not there would be looked for in all of the other's body. */
const bodyNameEnd = 'Object":{'
const bodyNameEndBytes = Buffer.from(bodyNameEnd)

const decoder = new TextDecoder()

export interface Head {
  readonly text: string
  readonly isWhole: boolean
}

/**
 * The record as it was written before its bodies, which are not decoded; the whole of it where none is found. It is JSON
 * where the bodies stand in the record itself: cut inside of something else, brackets or quotes are left open.
 */
export const headOf = (bytes: Uint8Array): Head => {
  const nameEnd = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(bodyNameEndBytes)
  if (nameEnd >= 0) {
    const text = decoder.decode(bytes.subarray(0, nameEnd + bodyNameEndBytes.length))
    const start = bodiesStart(text)
    if (start >= 0) return { text: `${text.slice(0, start)}}`, isWhole: false }
  }
  return { text: decoder.decode(bytes), isWhole: true }
}

/**
 * The text with outlines of its bodies: what tells which object they are, its kind and its metadata's texts. Lists and
 * objects are there, but empty. The whole text where there is any doubt.
 */
export const withOutlines = (text: string): string => {
  let next = bodiesStart(text)
  if (next < 0) return text
  const cuts: Array<Cut> = []
  for (const bodyStart of bodyStarts) {
    if (text.startsWith(bodyStart, next)) next = outline(text, next + bodyStart.length - 1, outlinedBelow, cuts)
    if (next < 0) return text
  }
  let kept = ""
  let from = 0
  for (const { start, end } of cuts) {
    kept += text.slice(from, start)
    from = end
  }
  return kept + text.slice(from)
}

const bodiesStart = (text: string): number => {
  const nameEnd = text.indexOf(bodyNameEnd)
  for (const bodyStart of bodyStarts) {
    const start = nameEnd + bodyNameEnd.length - bodyStart.length
    if (nameEnd >= 0 && text.startsWith(bodyStart, start)) return start
  }
  return -1
}

interface Cut {
  readonly start: number
  readonly end: number
}

/** Objects of a body whose texts tell which object it is, or whether it was a dry run. What is in them is not looked into. */
const outlinedBelow: ReadonlySet<string> = new Set(["metadata", "details", "deleteOptions"])
const noneBelow: ReadonlySet<string> = new Set()

/** Lists that count as a whole. */
const wholeLists = new Set(["dryRun"])

const quote = 0x22
const comma = 0x2c
const colon = 0x3a
const openBracket = 0x5b
const openBrace = 0x7b
const closeBrace = 0x7d

/**
 * Adds what is left out of the object that begins at `at`.
 *
 * @param below names of the objects in it of which outlines are kept
 * @returns the position after it; -1 where the text is not as kube-apiserver writes it
 */
const outline = (text: string, at: number, below: ReadonlySet<string>, cuts: Array<Cut>): number => {
  let next = at + 1
  if (text.charCodeAt(next) === closeBrace) return next + 1
  while (text.charCodeAt(next) === quote) {
    const keyEnd = stringEnd(text, next)
    if (text.charCodeAt(keyEnd) !== colon) return -1
    const key = text.slice(next + 1, keyEnd - 1)
    // It may be any of the names.
    if (key.includes("\\")) return -1
    const value = keyEnd + 1
    const first = text.charCodeAt(value)
    let end: number
    if (first === openBrace && below.has(key)) end = outline(text, value, noneBelow, cuts)
    else {
      end = valueEnd(text, value)
      if (first === openBrace || (first === openBracket && !wholeLists.has(key))) {
        cuts.push({ start: value + 1, end: end - 1 })
      }
    }
    if (end < 0) return -1
    if (text.charCodeAt(end) === closeBrace) return end + 1
    if (text.charCodeAt(end) !== comma) return -1
    next = end + 1
  }
  return -1
}
