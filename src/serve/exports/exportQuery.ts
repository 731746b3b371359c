/**
 * All that a query finds, as lines that are written while they are read: page by page, each when the one before it has
 * been taken, so that one page is all that is held.
 *
 * What was there at the first page comes once, as it was then or later: pages go by time and key, which no later version
 * changes. What a later version takes out of the filter, or deletes, before its page was read does not come. What arrives
 * meanwhile may come, once.
 *
 * Behind each page stands a mark to go on from, at the end one that says so: an answer without it was cut. One that was
 * begun is ended behind a page when its time is over or the server stops; when reading fails, that is told, and the
 * connection cut.
 *
 * @decision 0029-export
 */
import { Clock, Effect, Metric, Option, Result, Stream } from "effect"
import { type FactPage, FactQueries } from "../../store/FactQueries.ts"
import type { Position } from "../../store/Position.ts"
import { type ApiFailure, badRequest } from "../ApiFailure.ts"
import { Drain } from "../Drain.ts"
import type { ExportType } from "../http/accept.ts"
import type { Answer, Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { repeatedParameter, timeoutMillisFrom } from "../listParameters.ts"
import { Places } from "../Places.ts"
import { type AskedQuery, askedQuery, type QueryOptions } from "../queries/askedQuery.ts"
import type { QueryKind } from "../queries/queryKinds.ts"
import { effectiveTimes } from "../queries/question.ts"
import { storeFailureFrom } from "../storeFailure.ts"
import { csvRows } from "./csvRows.ts"
import { exportColumns } from "./exportColumns.ts"
import type { ExportForm } from "./ExportForm.ts"
import { jsonLines } from "./jsonLines.ts"

/** What a role allows besides creating the query. */
const exportSubresource = "export"

/** Facts of a page where the query names no limit. The engine holds them all, large bodies too, before it cuts them to size. */
const pageRows = 1_000

/** Of the JSON of a page: who takes 70 KB/s has taken one before kube-apiserver cuts what it passes on. */
const pageSizeBytesMax = 4 * 2 ** 20

/** kube-apiserver cuts what it passes on after 60 s (--request-timeout): what ends by itself is marked. */
const passedOnMillisMax = 40_000

const openExports = Metric.gauge("activity_apiserver_exports", { description: "Exports that are being given" })
const exportedRows = Metric.counter("activity_apiserver_exported_rows_total", {
  description: "Rows that exports have given",
  incremental: true
})

export const exportQuery = Effect.fn("serve.exportQuery")(function* (
  call: Call,
  request: ResourceRequest,
  kind: QueryKind,
  type: ExportType,
  options: QueryOptions
) {
  yield* call.authorize({ ...request, subresource: exportSubresource })
  const repeated = repeatedParameter(call.query, ["columns", "timeoutSeconds"])
  if (repeated !== undefined) return yield* repeated
  const asked = yield* askedQuery(call, request, kind, options)
  const form = yield* Effect.fromResult(formOf(call, kind, type, asked))
  const deadline = (yield* Clock.currentTimeMillis) + (yield* Effect.fromResult(timeFor(call)))
  const places = yield* Places
  yield* places.admit("export")
  yield* places.share("export", call.user.name)
  yield* Effect.acquireRelease(Metric.modify(openExports, 1), () => Metric.modify(openExports, -1))
  const drain = yield* Drain
  const queries = yield* FactQueries
  const page = (after: Position | undefined): Effect.Effect<FactPage, ApiFailure> =>
    queries
      .page(asked.window, { limit: asked.limit ?? pageRows, sizeBytesMax: pageSizeBytesMax, after })
      .pipe(Effect.mapError(storeFailureFrom))
  let rows = 0
  const lines = (read: Effect.Effect<FactPage, ApiFailure>) =>
    Effect.gen(function* () {
      const { facts, next } = yield* read
      rows += facts.length
      yield* Metric.update(exportedRows, facts.length)
      const now = yield* Clock.currentTimeMillis
      const text = form.page(facts, {
        continue: next === undefined ? undefined : asked.tokenAt(next, now),
        reached: next === undefined ? undefined : `${next.time.replace(" ", "T")}Z`,
        rows
      })
      const ends = next === undefined || now >= deadline || drain.begun()
      return [[text], ends ? Option.none() : Option.some(page(next))] as const
    })
  // What refuses it is told before the answer begins.
  const first = yield* page(asked.after)
  const chunks = Stream.succeed(form.opening).pipe(
    Stream.concat(Stream.paginate(Effect.succeed(first), lines)),
    Stream.catch((error: ApiFailure) => Stream.concat(Stream.succeed(form.failed(error)), Stream.fail(error)))
  )
  return {
    _tag: "Chunks",
    contentType: form.contentType,
    chunks,
    live: false,
    warnings: asked.question.warnings
  } satisfies Answer
})

const formOf = (
  call: Call,
  kind: QueryKind,
  type: ExportType,
  { question, window }: AskedQuery
): Result.Result<ExportForm, ApiFailure> => {
  const columns = call.query.get("columns") ?? ""
  if (type === "text/csv") {
    return Result.mapBoth(exportColumns(kind.facts.kind, columns), { onSuccess: csvRows, onFailure: badRequest })
  }
  return columns === ""
    ? Result.succeed(
        jsonLines({
          contentType: type,
          apiVersion: question.apiVersion,
          effectiveTimes: effectiveTimes(window),
          resultText: kind.resultText
        })
      )
    : Result.fail(badRequest("columns are those of text/csv: lines of JSON have all of a fact"))
}

/** How long the answer may take, in milliseconds. */
const timeFor = (call: Call): Result.Result<number, ApiFailure> =>
  Result.map(timeoutMillisFrom(call.query), (asked) =>
    Math.min(
      asked ?? Number.POSITIVE_INFINITY,
      call.user.isPassedOn === true ? passedOnMillisMax : Number.POSITIVE_INFINITY
    )
  )
