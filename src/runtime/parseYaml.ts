/** One YAML document of a file that may hold secrets: what is said about its faults quotes nothing of it. */
import { Result } from "effect"
import { LineCounter, parseDocument } from "yaml"

/** The failure is `line 3, column 5: what is wrong`. An empty text is null. */
export const parseYaml = (text: string): Result.Result<unknown, string> => {
  const lines = new LineCounter()
  // Pretty errors show the line, and warnings are printed with it.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: "error" })
  const [fault] = document.errors
  if (fault !== undefined) {
    const { col, line } = lines.linePos(fault.pos[0])
    return Result.fail(`line ${line}, column ${col}: ${unquoted(fault.message)}`)
  }
  return Result.try({
    try: (): unknown => document.toJS(),
    catch: (cause) => unquoted(cause instanceof Error ? cause.message : String(cause))
  })
}

/** The parser quotes behind a colon or a backslash. */
const unquoted = (message: string): string => message.split(/: | \\/)[0] ?? ""
