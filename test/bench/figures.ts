/**
 * Measurements that are kept: `figures.jsonl`, one line each, of which `docs/performance.md` is made.
 *
 * A line replaces the earlier one of the same parameters. Each has its own day and machine: not all were measured at once.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { projectFolder } from "../../.ci/projectFolder.ts"
import type { Line } from "./Benchmark.ts"
import type { Machine } from "./machine.ts"

export interface KeptLine {
  /** Behind `npm run bench --`, without `--json` and `--keep`: what repeats it. */
  readonly parameters: ReadonlyArray<string>
  /** The day, in UTC. */
  readonly date: string
  readonly machine: Machine
  readonly line: Line
}

export const figuresFile = join(projectFolder, "test/bench/figures.jsonl")

export const readFigures = (file = figuresFile): ReadonlyArray<KeptLine> =>
  existsSync(file)
    ? readFileSync(file, "utf8")
        .split("\n")
        .filter((text) => text !== "")
        // Our own file, written below.
        .map((text) => JSON.parse(text) as KeptLine)
    : []

export const isSame = (one: ReadonlyArray<string>, other: ReadonlyArray<string>): boolean =>
  one.join(" ") === other.join(" ")

export const keepFigures = (kept: KeptLine, file = figuresFile): void => {
  const others = readFigures(file).filter(({ parameters }) => !isSame(parameters, kept.parameters))
  const lines = [...others, kept].map((one) => `${JSON.stringify(one)}\n`)
  writeFileSync(file, lines.join(""))
}
