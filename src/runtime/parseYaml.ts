/** YAML of files that may hold secrets: what is said about its faults quotes nothing of it. */
import { Result } from "effect"
import { type Document, LineCounter, parseAllDocuments, parseDocument } from "yaml"

/** The failure is `line 3, column 5: what is wrong`. An empty text is null. */
export const parseYaml = (text: string): Result.Result<unknown, string> => {
  const lines = new LineCounter()
  return valueOf(parseDocument(text, optionsWith(lines)), lines)
}

/** The same of a file of several documents; empty ones are left out. */
export const parseYamlDocuments = (text: string): Result.Result<ReadonlyArray<unknown>, string> => {
  const lines = new LineCounter()
  const documents = parseAllDocuments(text, optionsWith(lines))
  // Of an empty text there is an object that is no list.
  const values = Result.all((Array.isArray(documents) ? documents : []).map((document) => valueOf(document, lines)))
  return Result.map(values, (found) => found.filter((value) => value !== null))
}

/** Pretty errors show the line, and warnings are printed with it. */
const optionsWith = (lines: LineCounter) => ({ lineCounter: lines, prettyErrors: false, logLevel: "error" }) as const

const valueOf = (document: Document.Parsed, lines: LineCounter): Result.Result<unknown, string> => {
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
