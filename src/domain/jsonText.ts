/** Finding one's way in a JSON text without parsing it. Positions are of UTF-16 code units. */

const quote = 0x22
const backslash = 0x5c

/** The position after the string that opens at `at`. */
export const stringEnd = (text: string, at: number): number => {
  let end = text.indexOf('"', at + 1)
  while (end >= 0) {
    let slashes = 0
    while (text.charCodeAt(end - 1 - slashes) === backslash) slashes++
    if (slashes % 2 === 0) return end + 1
    end = text.indexOf('"', end + 1)
  }
  return text.length
}

/**
 * The position after the value that begins at `at`, told by its quotes and brackets alone: what is between them need not
 * be JSON. The text's end where they do not close.
 */
export const valueEnd = (text: string, at: number): number => {
  const first = text.charCodeAt(at)
  if (first === quote) return stringEnd(text, at)
  if (!isOpening(first)) return literalEnd(text, at)
  let depth = 0
  let next = at
  while (next < text.length) {
    const code = text.charCodeAt(next)
    if (code === quote) {
      next = stringEnd(text, next)
      continue
    }
    next++
    if (isOpening(code)) depth++
    else if (isClosing(code) && --depth === 0) return next
  }
  return next
}

const isOpening = (code: number): boolean => code === 0x7b || code === 0x5b

const isClosing = (code: number): boolean => code === 0x7d || code === 0x5d

/** The position of the colon that makes the string before it a key, else -1. */
export const colonAfter = (text: string, at: number): number => {
  let next = at
  while (isSpace(text[next])) next++
  return text[next] === ":" ? next : -1
}

export const literalEnd = (text: string, at: number): number => {
  let end = at
  while (end < text.length && !/[\s,\]}]/.test(text[end] ?? "")) end++
  return end
}

export const isSpace = (character: string | undefined): boolean =>
  character === " " || character === "\n" || character === "\r" || character === "\t"
