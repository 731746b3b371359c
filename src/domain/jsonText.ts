/** Finding one's way in a JSON text without parsing it. Positions are of UTF-16 code units. */

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
