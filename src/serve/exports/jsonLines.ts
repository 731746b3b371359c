/**
 * An export as lines of JSON: each fact as a query's results have it, an `ExportMark` behind each page, and a `Status`
 * when it fails. `kind` tells them apart.
 *
 * @source https://jsonlines.org/
 */
import type { StoredFact } from "../../store/FactQueries.ts"
import { statusObject } from "../ApiFailure.ts"
import type { ExportForm } from "./ExportForm.ts"

export interface JsonLinesOptions {
  readonly contentType: string
  readonly apiVersion: string
  /** The times that are searched, RFC 3339. */
  readonly effectiveTimes: object
  readonly resultText: (fact: StoredFact, apiVersion: string) => string
}

const markKind = "ExportMark"

export const jsonLines = ({ apiVersion, contentType, effectiveTimes, resultText }: JsonLinesOptions): ExportForm => ({
  contentType,
  opening: "",
  page: (facts, { continue: token, reached, rows }) => {
    const mark = {
      kind: markKind,
      apiVersion,
      rows,
      ...(token === undefined ? { complete: true } : { continue: token, reachedTime: reached }),
      ...effectiveTimes
    }
    return [...facts.map((fact) => lineOf(resultText(fact, apiVersion))), JSON.stringify(mark), ""].join("\n")
  },
  failed: (error) => `${JSON.stringify(statusObject(error))}\n`
})

const ourBeginnings = [markKind, "Status"].map((kind) => `{"kind":"${kind}"`)

/** Records are given as they were sent: of several lines, or beginning as a line of ours, one would be taken for it. */
const lineOf = (text: string): string => {
  // Inside of texts of JSON there are none.
  const line = text.includes("\n") || text.includes("\r") ? text.replaceAll(/[\r\n]/g, " ") : text
  // No record of another kind than Event enters; but of two kinds in one the last counts, and is written alone.
  return ourBeginnings.some((beginning) => line.startsWith(beginning)) ? JSON.stringify(JSON.parse(line)) : line
}
