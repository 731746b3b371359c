/** The measurements of `npm run bench -- all` and of `docs/performance.md`, in their order, and what their figures are compared with. */
import type { Line } from "./Benchmark.ts"

export interface Aim {
  readonly what: string
  readonly bound: "at most" | "at least"
  readonly value: number
  readonly unit: string
  /** Undefined where a run did not measure it. */
  readonly figure: (line: Line) => number | undefined
}

export interface Measurement {
  /** Behind `npm run bench --`. */
  readonly parameters: ReadonlyArray<string>
  readonly title: string
  /** What a reader has to know of the figures, and why an aim is missed. No figures of its own. */
  readonly note?: string
  readonly aims: ReadonlyArray<Aim>
}

/** `figureAt("limits", "list_alone", "ratio")`: a number of the line. */
const figureAt =
  (...path: ReadonlyArray<string>): Aim["figure"] =>
  (line) => {
    let found: unknown = line
    for (const name of path) {
      // Any step may be missing: which figures there are differs between runs.
      found =
        typeof found === "object" && found !== null ? (found as Readonly<Record<string, unknown>>)[name] : undefined
    }
    return typeof found === "number" ? found : undefined
  }

const atMost = (what: string, value: number, unit: string, figure: Aim["figure"]): Aim => ({
  what,
  bound: "at most",
  value,
  unit,
  figure
})

const atLeast = (what: string, value: number, unit: string, figure: Aim["figure"]): Aim => ({
  what,
  bound: "at least",
  value,
  unit,
  figure
})

/** The most of the second half over the most of the first: 1 is flat. */
const growth: Aim["figure"] = (line) => {
  const half = figureAt("rss_half_max_mb")(line)
  return half === undefined ? undefined : Math.round((line.rss_max_mb / half) * 100) / 100
}

const timesAsFast = (shape: string) => figureAt(shape, "times_as_fast")

const processorAims = (cpuSecondsMax: number) => [
  atMost("CPU for 1,000 records", cpuSecondsMax, "s", figureAt("cpu_s_per_1k")),
  atLeast("records a second", 25_000, "", figureAt("events_per_s")),
  atMost("RSS", 200, "MB", figureAt("rss_max_mb"))
]

export const measurements: ReadonlyArray<Measurement> = [
  {
    parameters: ["processor"],
    title: "records that wait in the bus become activities",
    note:
      "The aims are those of an experiment that did less: no metrics, no dead letters, no faults. What is left is one parse " +
      "of each record's head, one of what is told, the client of NATS, and a sixth in which V8 compiles: the run lasts " +
      "seconds, and the aim is of what begins cold, too.",
    aims: processorAims(0.029)
  },
  {
    parameters: ["processor", "--policies", "test/bench/bodyPolicies"],
    title: "the same, with rules that read bodies",
    aims: processorAims(0.045)
  },
  {
    parameters: ["collector"],
    title: "batches of 400 records over TLS are durable",
    note: "What was sent and not published are stages that are dropped by default: RequestReceived and ResponseStarted.",
    aims: [
      atLeast("records a second", 10_000, "", figureAt("events_per_s")),
      atMost("RSS, second half over first", 1.1, "times", growth)
    ]
  },
  {
    parameters: ["exporter"],
    title: "Events are listed from a server that answers as kube-apiserver does, and published",
    aims: [
      atLeast("Events a second", 15_000, "", figureAt("events_per_s")),
      atMost("RSS, second half over first", 1.1, "times", growth)
    ]
  },
  {
    parameters: ["exporter", "--kube-apiserver"],
    title: "the same from a kube-apiserver",
    note:
      "Of the rate at which the pages alone are read. The two cores are shared: for 1,000 Events kube-apiserver and its etcd " +
      "take 0.032 CPU seconds and nats-server 0.018, beside what is done with the Events: parsed, given a tenant, redacted, " +
      "written anew, published.",
    aims: [
      atLeast("of listing alone", 0.9, "", figureAt("limits", "list_alone", "ratio")),
      atMost("RSS, second half over first", 1.1, "times", growth)
    ]
  },
  {
    parameters: ["writer"],
    title: "records become rows",
    note:
      "ClickHouse runs inside the writer here: its CPU and its memory are the writer's. Beside the insert, 1,000 records take " +
      "0.006 CPU seconds to be read and acknowledged, 0.010 to be parsed, 0.013 to become rows, and 0.012 of nats-server, on " +
      "the same two cores: together about what inserting alone takes, which nearly fills both.",
    aims: [
      atLeast("records, of inserting alone", 0.8, "", figureAt("limits", "insert_alone", "ratio")),
      atLeast("activities, of inserting alone", 0.8, "", figureAt("activities", "ratio"))
    ]
  },
  {
    parameters: ["publish"],
    title: "messages with ids are confirmed by the bus",
    note:
      "nats-server stores the messages of a stream one after the other, which fills a core: see server_cpu_s_per_1k. What " +
      "the client takes would allow twice the rate.",
    aims: [atLeast("messages a second", 80_000, "", figureAt("events_per_s"))]
  },
  {
    parameters: ["query"],
    title: "reads of stored activities, beside the Go implementation's schema",
    note:
      "merged: each partition is one part. parts: three overlapping parts more, each with newer sights of 2 % of the rows. " +
      "The Go implementation's own statements run on its schema in the same engine, in turns with ours; times_as_fast is its " +
      "median over ours, and p99 of so few rounds is the slowest. Over all tenants a page of ours is read by one thread, out " +
      "of as many granules as it has rows (docs/decisions/0017); with parts that are not merged FINAL compares keys, which " +
      "theirs does not do: it counts and lists twice what is there twice.",
    aims: [
      ...["big", "small", "kind_human", "resource_name", "next_page", "search", "facet_kind", "facet_actor"].map(
        (shape) =>
          atLeast(`tenant, ${shape.replace("_", " ")}`, 2, "times as fast", timesAsFast(`merged_tenant_${shape}`))
      ),
      atLeast("a user's", 2, "times as fast", timesAsFast("merged_user")),
      ...["", "_api_group", "_search_two_words", "_search_rare"].map((shape) =>
        atLeast(`platform${shape.replaceAll("_", " ")}`, 1, "times as fast", timesAsFast(`merged_platform${shape}`))
      ),
      ...["kind", "actor"].map((facet) =>
        // 1.5 times the time.
        atLeast(`platform, facet ${facet}`, 0.67, "times as fast", timesAsFast(`merged_platform_facet_${facet}`))
      ),
      atLeast("platform, three overlapping parts", 0.67, "times as fast", timesAsFast("parts_platform"))
    ]
  },
  {
    parameters: ["backtest"],
    title: "a policy is tried on 100,000 stored records of its kind",
    note:
      "Of changes of Deployments as they were recorded three quarters are of their status, which no rule is for: columns tell, " +
      "and they are not read. all_told are as many records all of which are read, evaluated and compared. Cancelled is a " +
      "backtest whose client went away, at eight places of its work.",
    aims: [
      atLeast("records a second", 20_000, "", figureAt("events_per_s")),
      atLeast("records a second, all told", 20_000, "", figureAt("all_told", "events_per_s")),
      atMost("from the client's end to the end of all work for it, longest", 500, "ms", figureAt("cancel_ms_max")),
      atMost("memory that those keep", 50, "MB", figureAt("kept_after_cancel_mb"))
    ]
  },
  {
    parameters: ["watch"],
    title: "200 tenants' watches and five of the platform, 1,000 activities a second",
    aims: [
      atMost("from publish to a tenant's watch, p99", 250, "ms", figureAt("tenant_watch_p99_ms")),
      atMost("from publish to the platform's watch, p99", 250, "ms", figureAt("platform_watch_p99_ms")),
      atMost("from webhook to list, longest", 2_000, "ms", figureAt("webhook_to_list_max_ms"))
    ]
  },
  {
    parameters: ["start"],
    title: "programs, bundled, say that they work",
    aims: [
      ...["collector", "exporter", "processor", "writer", "apiserver"].map((program) =>
        atMost(`${program} is ready, longest`, 1_000, "ms", figureAt(program, "ready_max_ms"))
      ),
      atMost("up is ready on an existing folder, longest", 3_000, "ms", figureAt("up", "ready_max_ms"))
    ]
  },
  {
    parameters: ["soak"],
    title: "up takes 2,000 records a second",
    note:
      "The slope is that of a least-squares line through all samples after the tenth minute; single samples lie far from it, " +
      "so the first and the last say nothing of it. A rate held is one of acknowledged records: records_unprocessed and " +
      "records_spooled say how far everything behind it was at its worst.",
    aims: [
      atMost("growth of RSS once it is warm", 1, "MB a minute", figureAt("rss_slope_mb_per_min")),
      atLeast("records acknowledged a second", 1_980, "", figureAt("events_per_s")),
      atMost("AUDIT_EVENTS, of 1 GiB", 1_073.7, "MB", figureAt("most", "audit_events_mb")),
      atMost("the spool, of 2 GiB", 2_147.5, "MB", figureAt("most", "spool_mb")),
      atMost("acknowledged records without a row", 0, "", figureAt("records_missing")),
      atMost("activities without a row", 0, "", figureAt("activities_missing"))
    ]
  }
]
