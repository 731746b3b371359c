/** What a benchmark is told, what it answers, and the line that is printed of it. */

export interface BenchmarkOptions {
  /** How many events; each benchmark has its own default. */
  readonly events: number
  /** A file of audit records, JSON Lines; undefined takes the recorded data. */
  readonly audit: string | undefined
  /** A folder of ActivityPolicy files. */
  readonly policies: string
  /** Activities that are stored before. */
  readonly rows: number
  /** How long, where the number of events follows from it. */
  readonly minutes: number
  /** A kube-apiserver in place of a server that answers as one. */
  readonly kubeApiserver: boolean
  /** A sentence for who waits. */
  readonly tell: (sentence: string) => void
}

export type OptionName = "events" | "audit" | "policies" | "rows" | "minutes" | "kube-apiserver"

export interface Benchmark {
  /** One line for the help. */
  readonly summary: string
  /** The options it has; another one is an error. */
  readonly options: ReadonlyArray<OptionName>
  readonly eventsDefault: number
  readonly run: (options: BenchmarkOptions) => Promise<Measured>
}

/** A stretch of work. */
export interface Spent {
  readonly events: number
  readonly seconds: number
  readonly cpuSeconds: number
}

/** What is measured beside, in the same run, to compare with. */
export interface Limit extends Spent {
  readonly name: string
}

export interface Measured extends Spent {
  /** Of nats-server; undefined where there is none. */
  readonly serverCpuSeconds: number | undefined
  readonly rssMaxBytes: number
  readonly limits: ReadonlyArray<Limit>
  /** What else the benchmark has to say, by name with unit. */
  readonly more: Readonly<Record<string, number | string | Figures>>
}

export type Figures = Readonly<Record<string, number>>

/** One measurement, as it is printed with `--json`. */
export interface Line {
  readonly benchmark: string
  readonly events: number
  readonly seconds: number
  readonly events_per_s: number
  readonly cpu_s_per_1k: number
  readonly server_cpu_s_per_1k?: number
  readonly rss_max_mb: number
  /** By name: the same figures, and `ratio`: our events a second over the limit's. */
  readonly limits: Readonly<Record<string, Figures>>
  /** What {@link Measured.more} says, beside the rest. */
  readonly [more: string]: number | string | Figures | Readonly<Record<string, Figures>> | undefined
}

export const lineOf = (name: string, measured: Measured): Line => ({
  benchmark: name,
  ...rates(measured),
  ...(measured.serverCpuSeconds === undefined
    ? {}
    : { server_cpu_s_per_1k: perThousand(measured.serverCpuSeconds, measured.events) }),
  rss_max_mb: rounded(measured.rssMaxBytes / 1e6, 4),
  limits: Object.fromEntries(
    measured.limits.map((limit) => [
      limit.name,
      {
        ...rates(limit),
        ratio: rounded(measured.events / measured.seconds / (limit.events / limit.seconds), 3)
      }
    ])
  ),
  ...measured.more
})

/** The same for people. */
export const readable = (line: Line): string => {
  const { benchmark, events, seconds, events_per_s, cpu_s_per_1k, server_cpu_s_per_1k, rss_max_mb, limits, ...more } =
    line
  return [
    benchmark.padEnd(9),
    `${events} events`,
    `${seconds} s`,
    `${events_per_s}/s`,
    `CPU ${cpu_s_per_1k} s/1k`,
    ...(server_cpu_s_per_1k === undefined ? [] : [`nats-server ${server_cpu_s_per_1k} s/1k`]),
    `RSS ${rss_max_mb} MB`,
    ...Object.entries(limits).map(
      ([name, limit]) =>
        `limit ${name} ${limit["events_per_s"]}/s, ${limit["cpu_s_per_1k"]} s/1k, ratio ${limit["ratio"]}`
    ),
    ...Object.entries(more).map(([name, value]) =>
      typeof value === "object"
        ? `${name}: ${Object.entries(value)
            .map(([what, figure]) => `${what} ${figure}`)
            .join(" ")}`
        : `${name} ${value}`
    )
  ].join(" | ")
}

const rates = ({ events, seconds, cpuSeconds }: Spent) => ({
  events,
  seconds: rounded(seconds, 4),
  events_per_s: rounded(events / seconds, 4),
  cpu_s_per_1k: perThousand(cpuSeconds, events)
})

const perThousand = (cpuSeconds: number, events: number): number => rounded((cpuSeconds / events) * 1000, 3)

/** To significant digits: no figure here is better than a few percent. */
export const rounded = (value: number, digits: number): number => Number(value.toPrecision(digits))
