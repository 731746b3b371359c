/** Help that fits a terminal. */
import * as CliOutput from "effect/cli/CliOutput"
import type { FlagDoc, HelpDoc } from "effect/cli/HelpDoc"
import { wrapped } from "./wrapped.ts"

/** Longer lines are not read well, however wide the terminal is. */
const widthMax = 100
/** Narrower than this a column of sentences cannot be read. */
const sentenceWidthMin = 20

/**
 * Effect's own formatter, whose sentences go on in the next line of their column.
 *
 * @param columns of the terminal; undefined where there is none
 */
export const helpFormatter = (columns: number | undefined): CliOutput.Formatter => {
  const width = Math.min(columns ?? widthMax, widthMax)
  const formatter = CliOutput.defaultFormatter({ globalFlags: "summary" })
  return {
    ...formatter,
    formatHelpDoc: (doc) =>
      formatter
        .formatHelpDoc(withShortTypes(doc))
        .split("\n")
        .flatMap((line) => linesOf(line, width))
        .join("\n")
  }
}

/** What is before the sentence: the name of a flag or command and its spaces, else the indent. */
const linesOf = (line: string, width: number): ReadonlyArray<string> => {
  const [, head = "", sentence = ""] = /^( *(?:\S.*? {2,})?)(.*)$/.exec(line) ?? []
  const headWidth = CliOutput.displayWidth(head)
  const lines = wrapped(sentence, Math.max(sentenceWidthMin, width - headWidth))
  return lines.length === 0 ? [line] : lines.map((one, index) => (index === 0 ? head : " ".repeat(headWidth)) + one)
}

/** The words that can be chosen are in the description, too, and would make the column as wide as they are long. */
const withShortTypes = (doc: HelpDoc): HelpDoc => ({
  ...doc,
  flags: doc.flags.map(withShortType),
  globalFlags: (doc.globalFlags ?? []).map(withShortType)
})

const withShortType = (flag: FlagDoc): FlagDoc =>
  flag.type.startsWith("<") || flag.type === "choice" ? { ...flag, type: "word" } : flag
