/**
 * The operations port: `/livez`, `/readyz`, `/healthz[?verbose]`, `/metrics`. Nothing else, and without credentials.
 * Beside it, what the checks say is logged when it changes.
 */
import { Effect, Metric, type Scope } from "effect"
import type { ServerResponse } from "node:http"
import { Health, type HealthReport, logHealthChanges } from "./Health.ts"
import { listen, type Listener } from "./Listener.ts"
import { Metrics } from "./Metrics.ts"
import type { ListenAddress } from "./settings.ts"
import type { StartRefused } from "./StartRefused.ts"
import manifest from "../../package.json" with { type: "json" }

const checkState = Metric.gauge("activity_health_check", {
  description: "1 while a check of the probes is well, 0 while it has a problem"
})
const buildInfo = Metric.gauge("activity_build_info", { description: "1, with the version that runs" })

/** @fails StartRefused when the address cannot be opened */
export const serveOperations = (
  address: ListenAddress
): Effect.Effect<Listener, StartRefused, Health | Metrics | Scope.Scope> =>
  Effect.gen(function* () {
    const health = yield* Health
    const metrics = yield* Metrics
    yield* Effect.forkScoped(logHealthChanges)
    yield* metrics.onScrape(
      Effect.gen(function* () {
        yield* Metric.update(Metric.withAttributes(buildInfo, { version: manifest.version }), 1)
        for (const { name, problem, role } of health.report().checks) {
          yield* Metric.update(Metric.withAttributes(checkState, { check: name, role }), problem === undefined ? 1 : 0)
        }
      })
    )
    return yield* listen({
      setting: "ops-listen",
      address,
      drainMillis: 500,
      handle: (request, response) =>
        Effect.gen(function* () {
          const { pathname, searchParams } = new URL(request.url ?? "/", "http://operations")
          const report = health.report()
          if (pathname === "/livez") return answer(response, 200, "ok\n")
          if (pathname === "/readyz") return answer(response, report.ready ? 200 : 503, checksText(report.checks))
          if (pathname === "/healthz") {
            const healthy = report.checks.every((check) => check.problem === undefined)
            return answer(
              response,
              healthy ? 200 : 503,
              searchParams.has("verbose") || !healthy ? checksText(report.checks) : "ok\n"
            )
          }
          if (pathname === "/metrics") return answer(response, 200, yield* metrics.text, metrics.contentType)
          return answer(response, 404, "Here are /livez, /readyz, /healthz?verbose and /metrics.\n")
        })
    })
  })

const checksText = (checks: HealthReport["checks"]): string =>
  checks
    .map((check) =>
      check.problem === undefined
        ? `[+]${check.name} ok${check.note === undefined ? "" : `: ${check.note}`}\n`
        : `[${check.role === "ready" ? "-" : "!"}]${check.name} ${check.problem}\n`
    )
    .join("") || "ok\n"

const answer = (response: ServerResponse, status: number, body: string, contentType = "text/plain; charset=utf-8") => {
  response.writeHead(status, { "content-type": contentType, "content-length": Buffer.byteLength(body) }).end(body)
}
