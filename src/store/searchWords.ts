/**
 * The words of a text, as the index over summaries knows them: lower case, split at every ASCII character that is
 * neither a letter nor a digit. Everything outside of ASCII belongs to a word (ClickHouse's splitByNonAlpha).
 *
 * Lists (SQL) and watches (memory) use the same words: a text matches when it holds each of them, whole.
 */
export const searchWords = (text: string): ReadonlyArray<string> => [
  ...new Set(
    text
      .toWellFormed()
      .toLowerCase()
      .split(/[\u0000-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u007f]+/)
      .filter((word) => word !== "")
  )
]

/** Characters of one search: the store takes no words as long as a body may be, and a second for ten thousand of them. */
export const searchLengthMax = 1_024

/** What `search` means for a watch. No words match everything. */
export const searchPredicate = (search: string): ((summary: string) => boolean) => {
  const wanted = searchWords(search)
  return (summary) => {
    const words = new Set(searchWords(summary))
    return wanted.every((word) => words.has(word))
  }
}
