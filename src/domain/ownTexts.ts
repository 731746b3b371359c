/**
 * One copy of each text, free of what it was cut from: a part of a text keeps the whole of it in memory, which for a
 * header is all headers of its message.
 */
export const ownTexts = (): ((text: string) => string) => {
  const known = new Map<string, string>()
  return (text) => {
    const found = known.get(text)
    if (found !== undefined) return found
    const own = Buffer.from(text).toString()
    known.set(own, own)
    return own
  }
}
