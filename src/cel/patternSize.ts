/**
 * About how many instructions a regular expression's program has, told from its text: `{n,m}` is written out, so eighteen
 * characters can become a thousand instructions.
 */
export const patternSize = (source: string): number => {
  /** Of the group that is read, and of those around it. */
  let total = 0
  let last = 0
  const outer: Array<number> = []
  for (const [token, from, to] of source.matchAll(tokens)) {
    if (token === "(") {
      outer.push(total)
      total = 0
      last = 0
    } else if (token === ")") {
      last = total + 2
      total = (outer.pop() ?? 0) + last
    } else if (from !== undefined) {
      const repeated = last * Math.max(1, Number(from), Number(to || 0))
      total += repeated - last
      last = repeated
    } else {
      last = 1
      total += 1
    }
  }
  return outer.reduce((sum, size) => sum + size, total)
}

/** A repetition, an escaped character, a class, or one character. */
const tokens = /\{(\d{1,4})(?:,(\d{0,4}))?\}|\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|./gsu
