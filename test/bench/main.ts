/**
 * `npm run bench -- NAME [options]`: measures one thing, and prints one line of it on standard output.
 *
 * Progress goes to standard error. Exit code 0 when it was measured, 2 when the command line cannot be understood or the
 * measurement could not be made.
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { processesOn } from "../support/processesOn.ts"
import { backtest } from "./backtest.ts"
import { type Benchmark, lineOf, type OptionName, readable } from "./Benchmark.ts"
import { changes } from "./changes.ts"
import { collector } from "./collector.ts"
import { exporter } from "./exporter.ts"
import { keepFigures } from "./figures.ts"
import { thisMachine } from "./machine.ts"
import { measurements } from "./measurements.ts"
import { processor } from "./processor.ts"
import { publish } from "./publish.ts"
import { query } from "./query.ts"
import { soak } from "./soak.ts"
import { start } from "./start.ts"
import { watch } from "./watch.ts"
import { writer } from "./writer.ts"

const benchmarks: Readonly<Record<string, Benchmark>> = {
  processor,
  collector,
  exporter,
  writer,
  publish,
  query,
  backtest,
  changes,
  watch,
  start,
  soak
}

const optionHelp: Readonly<Record<OptionName, string>> = {
  events: "--events N            how many; of query: rounds of each read, of start: starts of each program",
  audit: "--audit FILE          audit records, .jsonl or .jsonl.gz, in place of the recorded ones",
  policies: "--policies DIR        ActivityPolicy files, in place of infra/policies",
  "kube-apiserver": "--kube-apiserver      lists from a kube-apiserver of its own, filled before (Go builds it once)",
  rows: "--rows N              activities, or records, that are stored, 2,000,000 by default",
  minutes: "--minutes N           how long, 60 by default; parts of one are allowed"
}

const help = (): string =>
  [
    "npm run bench -- NAME [options]",
    "",
    `  ${"all".padEnd(10)} those of docs/performance.md, one after the other; the last takes an hour`,
    ...Object.entries(benchmarks).map(
      ([name, { eventsDefault, options, summary }]) =>
        `  ${name.padEnd(10)} ${summary} (${[...options.map((option) => `--${option}`), `${eventsDefault} events`].join(", ")})`
    ),
    "",
    ...Object.values(optionHelp).map((line) => `  ${line}`),
    "  --json                one line of JSON",
    "  --keep                the line is kept in test/bench/figures.jsonl; npm run generate then writes docs/performance.md",
    "",
    "Records are repeated with new ids until there are as many as asked for."
  ].join("\n")

class Misunderstood extends Error {}

const run = async (): Promise<void> => {
  const { positionals, values } = parsed()
  const { json, help: helpAsked, keep, ...given } = values
  const [name = "", ...rest] = positionals
  if (helpAsked === true) return console.log(help())
  if (name === "all" && rest.length + Object.keys(given).length === 0) return runAll(json === true, keep === true)
  const benchmark = benchmarks[name]
  if (benchmark === undefined || rest.length > 0) {
    throw new Misunderstood(
      `Name one of ${Object.keys(benchmarks).join(", ")}, or all, which takes no options but --json and --keep.`
    )
  }
  for (const option of Object.keys(given)) {
    if (!benchmark.options.some((known) => known === option)) throw new Misunderstood(`${name} has no --${option}.`)
  }
  const measured = await benchmark.run({
    events: wholeNumber("events", given.events, benchmark.eventsDefault),
    audit: given.audit,
    policies: given.policies ?? join(projectFolder, "infra/policies"),
    kubeApiserver: given["kube-apiserver"] ?? false,
    rows: wholeNumber("rows", given.rows, 2_000_000),
    minutes: minutesFrom(given.minutes),
    tell: (sentence) => console.error(`${name}: ${sentence}`)
  })
  const line = lineOf(name, measured)
  console.log(json === true ? JSON.stringify(line) : readable(line))
  if (keep === true) {
    const parameters = process.argv.slice(2).filter((word) => word !== "--json" && word !== "--keep")
    keepFigures({ parameters, date: new Date().toISOString().slice(0, 10), machine: await thisMachine(), line })
  }
}

/** Each in a process of its own, one after the other: what one leaves behind is no other's burden. */
const runAll = (json: boolean, keep: boolean): void => {
  const flags = [...(json ? ["--json"] : []), ...(keep ? ["--keep"] : [])]
  for (const { parameters } of measurements) {
    const { status } = spawnSync(process.execPath, [import.meta.filename, ...parameters, ...flags], {
      stdio: "inherit"
    })
    if (status !== 0) throw new Error(`npm run bench -- ${parameters.join(" ")} ended with ${status}.`)
  }
}

const wholeNumber = (option: string, given: string | undefined, otherwise: number): number => {
  const value = given === undefined ? otherwise : Number(given)
  if (Number.isSafeInteger(value) && value >= 1) return value
  throw new Misunderstood(`--${option} ${given} is not a whole number of at least 1.`)
}

const minutesFrom = (given: string | undefined): number => {
  const value = Number(given ?? 60)
  if (value > 0 && Number.isFinite(value)) return value
  throw new Misunderstood(`--minutes ${given} is not a number above 0.`)
}

const parsed = () => {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        json: { type: "boolean" },
        keep: { type: "boolean" },
        help: { type: "boolean" },
        events: { type: "string" },
        audit: { type: "string" },
        policies: { type: "string" },
        rows: { type: "string" },
        minutes: { type: "string" },
        "kube-apiserver": { type: "boolean" }
      }
    })
  } catch (cause) {
    throw new Misunderstood(cause instanceof Error ? cause.message : String(cause))
  }
}

// Everything that is written lies in one folder, of which nothing is left however this ends.
const scratch = mkdtempSync(join(tmpdir(), "activity-bench-"))
process.env["TMPDIR"] = scratch
const leave = (code: number): never => {
  // Behind the listeners that end what was started. What is left then is of a program that was killed: `up` has a
  // nats-server of its own, which runs in that folder.
  process.on("exit", () => {
    for (const { pid } of processesOn(scratch)) if (pid !== process.pid) process.kill(pid, "SIGKILL")
    rmSync(scratch, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 })
  })
  process.exit(code)
}
// npm passes on what a terminal has sent already: the second one must not end this before all is tidied up.
process.on("SIGINT", () => leave(130))
process.on("SIGTERM", () => leave(143))
process.on("SIGHUP", () => leave(129))

let code = 0
await run().catch((cause: unknown) => {
  const sentence = cause instanceof Error ? cause.message : String(cause)
  console.error(cause instanceof Misunderstood ? `${sentence}\nSee npm run bench -- --help.` : sentence)
  code = 2
})
// A connection that a failure left open must not keep the command from ending.
leave(code)
