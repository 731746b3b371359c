/** Alert rules and the dashboard, by Prometheus's own parser and by the metrics that there are. */
import { jetstreamManager } from "@nats-io/jetstream"
import { connect } from "@nats-io/transport-node"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { parse, stringify } from "yaml"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { startProcess } from "../support/childProcess.ts"
import { eventually } from "../support/eventually.ts"
import { freePort } from "../support/freePort.ts"
import { madeRecords, recordText } from "../support/madeRecords.ts"
import { startSystem } from "../support/system.ts"
import { type TemporaryFolder, temporaryFolder } from "../support/temporaryFolder.ts"
import { type Answer, buildMillisMax, check } from "./checker.ts"
import { type DefinedMetric, metricsOfSource } from "./metricsOfSource.ts"
import { situationMinutes, situations } from "./situations.ts"

interface Rule {
  readonly alert: string
  readonly expr: string
  /** Such as `5m`; at once without. */
  readonly for?: string
}

interface Panel {
  readonly type: string
  readonly title: string
  readonly targets?: ReadonlyArray<{ readonly expr: string }>
}

const waitMinutes = ({ for: wait = "0m" }: Rule): number => Number(/^(\d+)m$/.exec(wait)?.[1])

const textOf = (path: string): Promise<string> => readFile(join(projectFolder, path), "utf8")

/** Made by Prometheus, or by the library that tells of the process. */
const foreign = ["up", "process_cpu_seconds_total", "process_resident_memory_bytes", "nodejs_eventloop_lag_p99_seconds"]

/** Set by the ServiceMonitor and by Prometheus, on every series. */
const scrapeLabels = ["job", "program"]

/** A metric as one text of `/metrics` has it for a while, and then as the other has it. */
const pastOf = (metric: string, sick: string, well: string): string => {
  const valuesIn = (text: string) =>
    new Map(text.split("\n").flatMap((line) => (/^[a-z_]+/.exec(line)?.[0] === metric ? [pairOf(line)] : [])))
  const after = valuesIn(well)
  return [...valuesIn(sick)]
    .map(([series, value]) => {
      const later = after.get(series)
      return `  ${series} ${value}x${situationMinutes} ${later === undefined ? "_" : later}x${situationMinutes}`
    })
    .join("\n")
}

const pairOf = (line: string): readonly [series: string, value: string] => {
  const space = line.lastIndexOf(" ")
  return [line.slice(0, space), line.slice(space + 1)]
}

describe("alert rules and dashboard", () => {
  let groups: ReadonlyArray<{ readonly rules: ReadonlyArray<Rule> }>
  let panels: ReadonlyArray<Panel>
  let answer: Answer
  let defined: ReadonlyArray<DefinedMetric>
  beforeAll(async () => {
    groups = parse(await textOf("infra/components/alert-rules/alert-rules.yaml")).spec.groups
    panels = JSON.parse(await textOf("infra/components/dashboard/activity.json")).panels
    defined = await metricsOfSource()
    const shown = panels.flatMap(({ targets }) => targets ?? []).map(({ expr }) => expr)
    const asked = groups.flatMap(({ rules }) =>
      rules.flatMap(({ alert, expr }) =>
        [situations[alert]?.fires, situations[alert]?.quiet].map((series) => ({
          series: (series ?? []).map((line) => `  ${line}`).join("\n"),
          expression: expr,
          minutes: situationMinutes
        }))
      )
    )
    answer = await check({
      rules: stringify({ groups }),
      situations: asked,
      alerts: groups.flatMap(({ rules }) =>
        rules.map((rule) => ({
          series: (situations[rule.alert]?.fires ?? [])
            .map((line, index) => `  ${line} ${situations[rule.alert]?.clears[index]}`)
            .join("\n"),
          expression: rule.expr,
          minutes: 2 * situationMinutes,
          forMinutes: waitMinutes(rule)
        }))
      ),
      // Grafana puts a duration in its place.
      expressions: [...groups.flatMap(({ rules }) => rules).map(({ expr }) => expr), ...shown].map((text) =>
        text.replaceAll("$__rate_interval", "1m")
      )
    })
    // Go may have to build what asks Prometheus.
  }, buildMillisMax)

  const used = () => (answer.expressions ?? []).flatMap(({ metrics }) => metrics)

  it("are read by Prometheus without a fault", () => {
    assert.deepStrictEqual(answer.faults, [])
    assert.isAbove(answer.expressions?.length ?? 0, 40)
    assert.deepStrictEqual(
      (answer.expressions ?? []).filter(({ fault }) => fault !== ""),
      []
    )
  })

  it("name no metric that no program makes", () => {
    const known = new Set([...foreign, ...defined.flatMap(({ names }) => names)])
    assert.deepStrictEqual(
      [...new Set(used())].filter((name) => !known.has(name)),
      []
    )
  })

  it("ask for no value that a metric's label never has", () => {
    for (const { label, metric, value } of (answer.expressions ?? []).flatMap(({ matchers }) => matchers)) {
      if (scrapeLabels.includes(label)) continue
      const family = defined.find(({ names }) => names.includes(metric))
      if (family === undefined || family.values.length === 0) continue
      assert.strictEqual(label, family.label, metric)
      for (const one of value.split("|")) assert.include(family.values, one, metric)
    }
  })

  it("are each said once, and tell what is the matter", () => {
    const alerts = groups.flatMap(({ rules }) => rules)
    assert.strictEqual(new Set(alerts.map(({ alert }) => alert)).size, alerts.length)
    for (const { alert, ...rule } of alerts) {
      // oxlint-disable-next-line no-unsafe-type-assertion -- Prometheus has read the same rules; these are its names
      const { annotations, labels } = rule as unknown as Record<string, Record<string, string>>
      assert.isNotEmpty(annotations?.["summary"], alert)
      assert.isNotEmpty(annotations?.["description"], alert)
      assert.include(["critical", "warning"], labels?.["severity"], alert)
    }
  })

  it("each fire in the past that they are for, and not in another", () => {
    const alerts = groups.flatMap(({ rules }) => rules)
    assert.sameMembers(
      alerts.map(({ alert }) => alert),
      Object.keys(situations)
    )
    assert.deepStrictEqual(
      alerts.map(({ alert }, index) => [alert, answer.found?.[2 * index], answer.found?.[2 * index + 1]]),
      alerts.map(({ alert }) => [alert, 1, 0])
    )
  })

  it("each fire after their time, and clear when it is over", () => {
    for (const [index, rule] of groups.flatMap(({ rules }) => rules).entries()) {
      const firing = answer.firing?.[index] ?? []
      assert.include(firing, situationMinutes, `${rule.alert} does not fire`)
      assert.notInclude(firing, 2 * situationMinutes, `${rule.alert} does not clear`)
      assert.isAtLeast(firing[0] ?? -1, waitMinutes(rule), rule.alert)
    }
  })

  it("each have a heading in the runbook, which has no other", async () => {
    const runbook = await textOf("docs/operations.md")
    const headings = [...runbook.matchAll(/^### (Activity\w+)$/gm)].map(([, name]) => name ?? "")
    const alerts = groups.flatMap(({ rules }) => rules)
    assert.sameMembers(
      headings,
      alerts.map(({ alert }) => alert)
    )
    for (const { alert, ...rule } of alerts) {
      // oxlint-disable-next-line no-unsafe-type-assertion -- Prometheus has read the same rules; these are its names
      const { annotations } = rule as unknown as Record<string, Record<string, string>>
      assert.strictEqual(annotations?.["runbook"], `docs/operations.md#${alert.toLowerCase()}`)
    }
  })

  describe("against running programs", { timeout: 180_000 }, () => {
    let folder: TemporaryFolder
    beforeAll(async () => {
      folder = await temporaryFolder("metrics")
    })
    afterAll(() => folder.remove())

    it("know every metric that activity up shows of itself", async () => {
      const listen = ["--api-listen", "--audit-listen", "--ops-listen"].flatMap((flag) => [flag, "127.0.0.1:0"])
      await using up = startProcess({
        command: process.execPath,
        arguments: ["src/main.ts", "up", "--data", join(folder.path, "data"), ...listen],
        environment: { UV_THREADPOOL_SIZE: "16" }
      })
      const [, url = ""] = await up.waitForLine(/(http:\/\/\S+\/metrics)/, 60_000)
      const shown = await eventually("activities are counted", async () => {
        const text = await (await fetch(url)).text()
        return text.includes("activity_writer_rows_total") ? text : undefined
      })
      const names = new Set([...shown.matchAll(/^([a-z][a-z0-9_]+)[{ ]/gm)].map(([, name]) => name ?? ""))
      const known = new Set(defined.flatMap((metric) => metric.names))
      assert.deepStrictEqual(
        [...names].filter((name) => name.startsWith("activity_") && !known.has(name)),
        []
      )
      for (const name of foreign.slice(1)) assert.isTrue(names.has(name), name)
      // Most of what is asked for is there at once; the rest has not happened yet, or is another program's.
      const absent = [...new Set(used())].filter((name) => !names.has(name) && !foreign.includes(name))
      for (const name of absent)
        assert.match(name, /^activity_(exporter|collector_file|apiserver|controller|trace)_/, name)
      await up.terminate()
    })

    it("fire and clear by what a collector shows: NATS away, records in its spool, a consumer missing", async () => {
      await using system = await startSystem()
      const operations = `127.0.0.1:${await freePort()}`
      const collector = await system.start("collector", ["--ops-listen", operations])
      const post = async () => {
        const items = madeRecords("alert", 1).map(recordText).join(",")
        const body = `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[${items}]}`
        assert.strictEqual((await collector.request("", { method: "POST", body })).status, 200)
      }
      const lookAt = async (lines: ReadonlyArray<string>): Promise<string | undefined> => {
        const text = await (await fetch(`http://${operations}/metrics`)).text()
        return lines.every((line) => text.split("\n").includes(line)) ? text : undefined
      }
      const shows = (...lines: ReadonlyArray<string>) => eventually(lines.join(", "), () => lookAt(lines))
      await post()

      await system.nats.kill()
      await post()
      const away = await shows("activity_nats_connected 0", "activity_collector_spool_messages 1")
      await system.nats.start()
      const back = await shows("activity_nats_connected 1", "activity_collector_spool_messages 0")

      const client = await connect({ servers: system.nats.url })
      const { consumers } = await jetstreamManager(client)
      const stopped = await eventually("trimming has stopped", async () => {
        // A server that was killed may have lost it, and is given it again, also after it was deleted here.
        await consumers.delete("AUDIT_EVENTS", "writer").catch(() => undefined)
        return await lookAt([`activity_nats_trim_stopped{stream="AUDIT_EVENTS"} 1`])
      })
      await client.close()
      // Whoever starts makes what is missing.
      await system.start("processor")
      const going = await shows(`activity_nats_trim_stopped{stream="AUDIT_EVENTS"} 0`)

      const pasts = [
        ["ActivityBusAway", "activity_nats_connected", away, back],
        ["ActivityCollectorSpools", "activity_collector_spool_messages", away, back],
        ["ActivityTrimmingStopped", "activity_nats_trim_stopped", stopped, going]
      ] as const
      const { faults, firing } = await check({
        alerts: pasts.map(([name, metric, sick, well]) => {
          const rule = groups.flatMap(({ rules }) => rules).find(({ alert }) => alert === name)
          assert.isDefined(rule, name)
          return {
            series: pastOf(metric, sick, well),
            expression: rule.expr,
            minutes: 2 * situationMinutes,
            forMinutes: waitMinutes(rule)
          }
        })
      })
      assert.deepStrictEqual(faults, [])
      for (const [index, [name]] of pasts.entries()) {
        assert.include(firing?.[index] ?? [], situationMinutes, name)
        assert.notInclude(firing?.[index] ?? [], 2 * situationMinutes, name)
      }
    })
  })
})
