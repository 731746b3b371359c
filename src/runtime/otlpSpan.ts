/** A span as OTLP says it. */
import { Cause, Option, type Tracer } from "effect"
import { entriesToAttributes } from "effect/observability/OtlpResource"
import type { TraceData } from "effect/observability/OtlpTracer"

type OtlpSpan = TraceData["resourceSpans"][number]["scopeSpans"][number]["spans"][number]

/** @source https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto */
const kinds: Readonly<Record<Tracer.SpanKind, number>> = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 }
const statusCodes = { unset: 0, error: 2 } as const

/** @param span which has ended */
export const otlpSpanFrom = (span: Tracer.Span): OtlpSpan => {
  const { startTime } = span.status
  return {
    traceId: span.traceId,
    spanId: span.spanId,
    parentSpanId: Option.getOrUndefined(span.parent)?.spanId,
    name: span.name,
    kind: kinds[span.kind],
    startTimeUnixNano: String(startTime),
    endTimeUnixNano: String(span.status._tag === "Ended" ? span.status.endTime : startTime),
    attributes: entriesToAttributes(span.attributes),
    droppedAttributesCount: 0,
    events: [],
    droppedEventsCount: 0,
    status: statusOf(span.status),
    links: span.links.map((link) => ({
      traceId: link.span.traceId,
      spanId: link.span.spanId,
      attributes: entriesToAttributes(Object.entries(link.attributes)),
      droppedAttributesCount: 0
    })),
    droppedLinksCount: 0
  }
}

/** What was interrupted, by a client that went away or a program that stops, is no fault. */
const statusOf = (status: Tracer.SpanStatus): OtlpSpan["status"] => {
  if (status._tag === "Started" || status.exit._tag === "Success" || Cause.hasInterruptsOnly(status.exit.cause)) {
    return { code: statusCodes.unset }
  }
  return { code: statusCodes.error, message: messageOf(Cause.squash(status.exit.cause)) }
}

const messageLengthMax = 1_000

const messageOf = (failure: unknown): string =>
  (failure instanceof Error ? failure.message : String(failure)).slice(0, messageLengthMax)
