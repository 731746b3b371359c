/**
 * A sentence as lines, cut at spaces where there are some. An empty one has no line.
 *
 * @param width of a line at most, in characters
 */
export const wrapped = (text: string, width: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (let rest = text; rest !== "";) {
    const space = rest.length <= width ? rest.length : rest.lastIndexOf(" ", width)
    const end = space > 0 ? space : width
    lines.push(rest.slice(0, end))
    rest = rest.slice(end).trimStart()
  }
  return lines
}
