/** `docs/performance.md`: every figure in it stands in `figures.jsonl`. `npm run generate` writes it. */
import type { Figures, Line } from "./Benchmark.ts"
import { isSame, type KeptLine } from "./figures.ts"
import type { Machine } from "./machine.ts"
import { type Aim, measurements } from "./measurements.ts"

export const performancePage = (kept: ReadonlyArray<KeptLine>): string =>
  [
    introduction,
    machinesText(kept),
    ...[...kept].sort((one, other) => placeOf(one) - placeOf(other)).map(section),
    unsaid
  ].join("\n\n") + "\n"

const introduction = `# What it costs

Printed by \`npm run generate\` from \`test/bench/figures.jsonl\`, which \`npm run bench -- all --keep\`, or one name in place
of \`all\`, writes. \`npm run check\` says when the two differ.

Each benchmark starts the programs as the image does, one bundle of JavaScript, beside servers of their own: nats-server with
file storage, the embedded ClickHouse engine, a list server or a kube-apiserver. Records are those that a real cluster
wrote (\`test/data\`), 3 KB each, repeated with new audit IDs. CPU is that of the process with all its threads, as the
kernel counts it; nats-server's is told apart. A *limit* is the least that the same work could cost, measured in the same
run on the same machine; the *ratio* is our rate over the limit's.

The Go implementation, measured on another day on a machine of the same kind with the same sort of data, takes 0.29 CPU
seconds for 1,000 events in its processor (4,000 events a second, 100 MB), and 0.09 in its exporter (5,800 a second, memory
that grows with the cluster). Its queries alone are measured beside ours, in the same run.`

const unsaid = `## What these figures do not say

- Nothing here ran on a ClickHouse server or on a NATS cluster: disks, networks and replicas have a cost of their own.
- The recorded data repeats every few thousand records: caches see more of the same than in a cluster.
- Load comes from the same machine, and shares its cores with what is measured.
- Differences below a tenth mean nothing; neither does a rate that was taken while others worked. Ratios within one run do.`

/** Each machine once, with the days on which it measured. */
const machinesText = (kept: ReadonlyArray<KeptLine>): string => {
  const machines = new Map<string, Set<string>>()
  for (const { date, line, machine } of kept) {
    const days = machines.get(machineText(machine)) ?? new Set()
    machines.set(machineText(machine), days.add(`${line.benchmark} (${date})`))
  }
  return table(
    ["machine", "measured"],
    [...machines].map(([machine, days]) => [machine, [...days].join(", ")])
  )
}

const machineText = (machine: Machine): string =>
  `${machine.cores} cores of ${machine.processor}, ${machine.memory_gb} GB; Node ${machine.node}, ` +
  `nats-server ${machine.nats_server}, ClickHouse ${machine.clickhouse} (embedded)`

/** Measurements that are not among the usual ones come last. */
const placeOf = ({ parameters }: KeptLine): number => {
  const place = measurements.findIndex((measurement) => isSame(measurement.parameters, parameters))
  return place < 0 ? measurements.length : place
}

const section = (kept: KeptLine): string => {
  const { date, line, parameters } = kept
  const { benchmark: _, limits, ...measured } = line
  const measurement = measurements[placeOf(kept)]
  const aimed = (measurement?.aims ?? []).flatMap((aim) => aimRows(aim, line))
  return [
    `## ${line.benchmark}${measurement === undefined ? "" : `: ${measurement.title}`}`,
    `\`npm run bench -- ${parameters.join(" ")}\`, ${date}.`,
    ...(aimed.length === 0 ? [] : [table(["", "aim", "measured", ""], aimed)]),
    ...(Object.keys(limits).length === 0 ? [] : [limitsTable(line, limits)]),
    "Everything that was printed:",
    figuresTable(measured)
  ].join("\n\n")
}

/** No row where this run did not measure it. */
const aimRows = (aim: Aim, line: Line): ReadonlyArray<ReadonlyArray<string>> => {
  const figure = aim.figure(line)
  if (figure === undefined) return []
  const holds = aim.bound === "at most" ? figure <= aim.value : figure >= aim.value
  const text = (value: number) => `${number(value)}${aim.unit === "" ? "" : ` ${aim.unit}`}`
  return [[aim.what, `${aim.bound} ${text(aim.value)}`, text(figure), holds ? "holds" : "**does not hold**"]]
}

const limitsTable = (line: Line, limits: Readonly<Record<string, Figures>>): string =>
  table(
    ["", "events/s", "CPU-s per 1,000", "ratio"],
    [
      [line.benchmark, number(line.events_per_s), String(line.cpu_s_per_1k), ""],
      ...Object.entries(limits).map(([name, limit]) => [
        `limit: ${name.replaceAll("_", " ")}`,
        ...[limit["events_per_s"], limit["cpu_s_per_1k"], limit["ratio"]].map((value) => number(value ?? NaN))
      ])
    ]
  )

const figuresTable = (measured: Readonly<Record<string, unknown>>): string => {
  const rows = Object.entries(measured).map(([name, value]) => [
    name,
    typeof value === "object" && value !== null
      ? Object.entries(value)
          .map(([what, figure]) => `${what} ${number(figure)}`)
          .join(", ")
      : number(value)
  ])
  return table(["figure", "value"], rows)
}

/** With commas from ten thousand on, as text is written. */
const number = (value: unknown): string =>
  typeof value === "number" && Math.abs(value) >= 10_000 ? value.toLocaleString("en-US") : String(value)

const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n")
