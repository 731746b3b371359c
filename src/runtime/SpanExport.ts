/**
 * Spans to an OpenTelemetry collector, by OTLP over HTTP.
 *
 * Whoever ends a span waits for nothing: it is put into a bounded queue, which one fiber empties. While the collector is
 * away, hangs or refuses, spans are lost, counted and told once; nothing else is. Effect's own exporter begins another
 * request for every thousand spans while the first one hangs, which has no end (decision 0030-tracing).
 *
 * @decision 0030-tracing
 */
import { type Cause, Effect, Fiber, Metric, Queue, Result, Schedule, Schema, type Scope, Tracer } from "effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as OtlpResource from "effect/observability/OtlpResource"
import * as OtlpSerialization from "effect/observability/OtlpSerialization"
import type { Exit } from "effect/Exit"
import manifest from "../../package.json" with { type: "json" }
import { counterFamily } from "./Metrics.ts"
import { otlpSpanFrom } from "./otlpSpan.ts"
import { StartRefused } from "./StartRefused.ts"

/** Ended spans that wait: 1 MB. Those of a second, where 1,000 batches a second are traced in two spans each. */
const waitingSpansMax = 2_048
/** Spans of one request, about 300 KiB. */
const requestSpansMax = 512
/** Between two requests, so that they are not of single spans. */
const pause = "1 second"
/** A collector that says nothing for so long is away. */
const answerWait = "5 seconds"
/** 200 ms, then 400 ms later: for a collector that restarts. Meanwhile the queue takes what comes. */
const again = { schedule: Schedule.exponential("200 millis"), times: 2 }
/** What waits when the program stops has so long. */
const flushWait = "2 seconds"

/** Ended = sent + lost + what waits. */
const spans = counterFamily("activity_trace_spans_total", "Ended spans of traces by what became of them", "outcome", [
  "sent",
  "lost"
])

/** The collector did not take the spans. */
class SpansRefused extends Schema.TaggedError<SpansRefused>()("SpansRefused", { why: Schema.String }) {
  override get message(): string {
    return this.why
  }
}

/** fetch has two causes in one another: the inner one tells of a name, a port or a certificate. */
const whyOf = ({ cause, message }: Error): string => {
  const inner = cause instanceof Error ? cause.cause : undefined
  if (!(inner instanceof Error)) return message
  return `${message}: ${inner.message === "" && "code" in inner ? String(inner.code) : inner.message}`
}

export interface SpanExportOptions {
  /** Of the collector; `/v1/traces` comes behind it. */
  readonly endpoint: string
  readonly headers: Readonly<Record<string, string>>
  /** As traces show who made a span. */
  readonly serviceName: string
}

/**
 * What waits when the scope ends is still sent, if the collector takes it within {@link flushWait}.
 *
 * @fails StartRefused when OTEL_RESOURCE_ATTRIBUTES, which is told with every span, cannot be read
 */
export const makeSpanExport = (options: SpanExportOptions): Effect.Effect<Tracer.Tracer, StartRefused, Scope.Scope> =>
  Effect.gen(function* () {
    const queue = yield* Queue.dropping<Tracer.Span, Cause.Done>(waitingSpansMax)
    let overflown = 0
    let isTold = false
    const request = HttpClientRequest.post(`${options.endpoint.replace(/\/+$/, "")}/v1/traces`, {
      headers: options.headers
    })
    const resource = yield* OtlpResource.fromConfig({
      serviceName: options.serviceName,
      serviceVersion: manifest.version
    }).pipe(
      // It dies of a wrong text.
      Effect.catchDefect(
        () => new StartRefused({ sentence: "OTEL_RESOURCE_ATTRIBUTES must be name=value, comma-separated." })
      )
    )
    const client = yield* HttpClient.HttpClient
    const serialization = yield* OtlpSerialization.OtlpSerialization

    const post = (ended: ReadonlyArray<Tracer.Span>) =>
      Effect.gen(function* () {
        const scopeSpans = [{ scope: { name: "activity" }, spans: ended.map(otlpSpanFrom) }]
        const body = serialization.traces({ resourceSpans: [{ resource, scopeSpans }] })
        const answer = yield* client.execute(HttpClientRequest.setBody(request, body))
        const text = yield* answer.text
        if (answer.status >= 300) return yield* new SpansRefused({ why: `the collector answered ${answer.status}` })
        return rejectedIn(text)
      }).pipe(
        Effect.timeoutOrElse({
          duration: answerWait,
          orElse: () => Effect.fail(new SpansRefused({ why: `the collector did not answer within ${answerWait}` }))
        }),
        Effect.mapError((error) => new SpansRefused({ why: whyOf(error) })),
        Effect.retry(again)
      )

    const send = (ended: ReadonlyArray<Tracer.Span>) =>
      Effect.gen(function* () {
        const result = yield* Effect.result(post(ended))
        const rejected = Result.isSuccess(result) ? result.success : ended.length
        yield* Metric.update(spans.sent, ended.length - rejected)
        yield* Metric.update(spans.lost, rejected + overflown)
        overflown = 0
        if (isTold === Result.isFailure(result)) return
        isTold = Result.isFailure(result)
        yield* Result.isFailure(result)
          ? Effect.logWarning("traces are lost", result.failure)
          : Effect.logInfo("traces are sent again")
      })

    const sending = yield* Queue.takeBetween(queue, 1, requestSpansMax).pipe(
      Effect.flatMap((ended) => send(ended)),
      Effect.andThen(Effect.suspend(() => (queue.state._tag === "Open" ? Effect.sleep(pause) : Effect.void))),
      Effect.forever,
      // The queue has ended, and all of it was sent or is lost.
      Effect.ignore,
      Effect.withTracerEnabled(false),
      Effect.forkScoped
    )
    // Runs before that fiber is interrupted.
    yield* Effect.addFinalizer(() =>
      Queue.end(queue).pipe(Effect.andThen(Effect.interruptible(Fiber.await(sending))), Effect.timeoutOption(flushWait))
    )
    return Tracer.make({
      span: (made) =>
        new ExportedSpan(made, (ended) => {
          if (!Queue.offerUnsafe(queue, ended)) overflown++
        })
    })
  }).pipe(Effect.provide([FetchHttpClient.layer, OtlpSerialization.layerJson]))

/** A span that is handed over when it has ended, once. */
class ExportedSpan extends Tracer.NativeSpan {
  readonly #ended: (span: Tracer.Span) => void

  constructor(made: ConstructorParameters<typeof Tracer.NativeSpan>[0], ended: (span: Tracer.Span) => void) {
    super(made)
    this.#ended = ended
  }

  override end(endTime: bigint, exit: Exit<unknown, unknown>): void {
    if (this.status._tag === "Ended") return
    super.end(endTime, exit)
    if (this.sampled) this.#ended(this)
  }
}

const partialSuccess = Schema.decodeUnknownResult(
  Schema.fromJsonString(
    Schema.Struct({
      partialSuccess: Schema.Struct({ rejectedSpans: Schema.Union([Schema.Number, Schema.NumberFromString]) })
    })
  )
)

/** How many spans of an answered request were not taken: most say nothing, so all were. */
const rejectedIn = (answer: string): number => {
  const read = partialSuccess(answer)
  return Result.isSuccess(read) ? read.success.partialSuccess.rejectedSpans : 0
}
