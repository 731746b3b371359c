/** The statements of a SQL file: split at semicolons, except inside of strings, quoted names and comments. */
export const statementsFrom = (sql: string): ReadonlyArray<string> => {
  const parts: Array<string> = []
  let statement = ""
  // A string or quoted name (a doubled or escaped quote inside), a comment, a semicolon, or any other character.
  for (const [token] of sql.matchAll(
    /'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*"|--[^\n]*|\/\*.*?\*\/|;|./gs
  )) {
    if (token === ";") {
      parts.push(statement)
      statement = ""
    } else if (!token.startsWith("--") && !token.startsWith("/*")) {
      statement += token
    }
  }
  return [...parts, statement].map((part) => part.trim()).filter((part) => part !== "")
}
