/**
 * Cuts an audit EventList into its items without parsing it as a whole, so that each record is kept exactly as it was
 * sent: numbers, order of keys and all.
 */
import { Result } from "effect"
import { stringEnd } from "../../domain/jsonText.ts"

export interface SplitList {
  readonly kind: string
  readonly apiVersion: string
  /** The JSON text of each item, as sent. Not parsed yet: an item may still be broken inside. */
  readonly items: ReadonlyArray<string>
}

/** The text is no audit EventList, or holds more than is taken at once. */
export interface NotAList {
  /** A sentence, with the place where there is one. */
  readonly reason: string
  readonly tooLarge: boolean
}

/**
 * Items of one list. kube-apiserver sends 400 (`--audit-webhook-batch-max-size`) and keeps 10,000 in all; each item costs
 * memory of its own, however small its text is, and a body of 11 MiB has room for millions.
 */
export const itemsMax = 50_000

const kinds = new Set(["EventList", "Event"])

/** Reads an `audit.k8s.io/v1` EventList, or one Event by itself. */
export const splitItems = (text: string): Result.Result<SplitList, NotAList> => {
  const cut = itemsOf(text)
  if (cut !== undefined && cut.items.length > itemsMax) {
    return Result.fail({
      reason: `The list has more than ${itemsMax} items. Send smaller batches (--audit-webhook-batch-max-size).`,
      tooLarge: true
    })
  }
  // Without an items array the whole text is the envelope: small, or one Event.
  const envelopeText = cut === undefined ? text : `${text.slice(0, cut.start)}[]${text.slice(cut.end)}`
  let envelope: unknown
  try {
    envelope = JSON.parse(envelopeText)
  } catch (cause) {
    // A parser quotes what it stumbles over, and the sender logs our answer: only the place is told.
    const place = cause instanceof Error ? /at position \d+/.exec(cause.message)?.[0] : undefined
    return notAList(`The body is not JSON${place === undefined ? "" : `, ${place}`}.`)
  }
  if (typeof envelope !== "object" || envelope === null || Array.isArray(envelope)) {
    return notAList("The body is not a JSON object. Send an audit.k8s.io/v1 EventList.")
  }
  const kind = "kind" in envelope ? String(envelope.kind) : ""
  const apiVersion = "apiVersion" in envelope ? String(envelope.apiVersion) : ""
  if (!kinds.has(kind) || apiVersion !== "audit.k8s.io/v1") {
    return notAList(
      `The body is kind ${JSON.stringify(kind)}, apiVersion ${JSON.stringify(apiVersion)}. ` +
        `Send kind "EventList" (or "Event"), apiVersion "audit.k8s.io/v1".`
    )
  }
  if (kind === "Event") return Result.succeed({ kind, apiVersion, items: [text] })
  if (cut === undefined) return notAList('The EventList has no array "items".')
  // JSON lets a key stand twice; whichever was read, the other's records would be lost in silence.
  if (itemsOf(`{${text.slice(cut.end)}`) !== undefined) {
    return notAList('The EventList has "items" twice.')
  }
  return Result.succeed({ kind, apiVersion, items: cut.items })
}

const notAList = (reason: string) => Result.fail({ reason, tooLarge: false })

interface Cut {
  readonly start: number
  readonly end: number
  readonly items: ReadonlyArray<string>
}

const quote = 0x22
const openBrace = 0x7b
const closeBrace = 0x7d
const openBracket = 0x5b
const closeBracket = 0x5d
const comma = 0x2c
const colon = 0x3a

const isSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09

/**
 * The array at the top level's key `items`, and its elements; undefined where there is none (or the text is broken). One
 * that has too many is not read to its end.
 */
const itemsOf = (text: string): Cut | undefined => {
  let depth = 0
  let at = 0
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code === quote) {
      const end = stringEnd(text, at)
      if (depth === 1 && end - at === 7 && text.startsWith('"items"', at)) {
        let next = end
        while (isSpace(text.charCodeAt(next))) next++
        if (text.charCodeAt(next) === colon) {
          next++
          while (isSpace(text.charCodeAt(next))) next++
          if (text.charCodeAt(next) === openBracket) return elementsFrom(text, next)
        }
      }
      at = end
      continue
    }
    if (code === openBrace || code === openBracket) depth++
    else if (code === closeBrace || code === closeBracket) depth--
    at++
  }
  return undefined
}

const elementsFrom = (text: string, start: number): Cut | undefined => {
  const items: Array<string> = []
  let depth = 0
  let at = start + 1
  let itemStart = at
  const close = (end: number) => {
    const item = text.slice(itemStart, end).trim()
    if (item !== "" || items.length > 0) items.push(item)
  }
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code === quote) {
      at = stringEnd(text, at)
      continue
    }
    if (code === openBrace || code === openBracket) depth++
    else if (code === closeBrace) depth--
    else if (code === closeBracket) {
      if (depth === 0) {
        close(at)
        return { start, end: at + 1, items }
      }
      depth--
    } else if (code === comma && depth === 0) {
      items.push(text.slice(itemStart, at).trim())
      itemStart = at + 1
      if (items.length > itemsMax) return { start, end: itemStart, items }
    }
    at++
  }
  return undefined
}
