/** Line and column, from 1, of an offset. */
export const positionOf = (source: string, offset: number): { readonly line: number; readonly column: number } => {
  const before = source.slice(0, offset)
  const lineStart = before.lastIndexOf("\n") + 1
  return { line: before.split("\n").length, column: offset - lineStart + 1 }
}
