/**
 * A collector of traces: an HTTP server that takes OTLP in JSON, as `POST /v1/traces`, and keeps the spans.
 *
 * @source https://opentelemetry.io/docs/specs/otlp/#otlphttp
 */
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { buffer } from "node:stream/consumers"

export interface CollectedSpan {
  /** The resource attribute `service.name`. */
  readonly service: string
  readonly traceId: string
  readonly spanId: string
  /** "" of a root. */
  readonly parentSpanId: string
  readonly name: string
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number
  readonly startNanos: bigint
  readonly endNanos: bigint
  readonly attributes: Readonly<Record<string, unknown>>
  readonly links: ReadonlyArray<{ readonly traceId: string; readonly spanId: string }>
  /** 0 unset, 1 ok, 2 error. */
  readonly status: number
}

/** What it does with a request: takes it, never answers, or answers this status. */
export type Manner = "takes" | "hangs" | number

export interface TraceCollector extends AsyncDisposable {
  readonly url: string
  readonly spans: () => ReadonlyArray<CollectedSpan>
  readonly ofTrace: (traceId: string) => ReadonlyArray<CollectedSpan>
  /** Of the latest request. */
  readonly headers: () => IncomingHttpHeaders
  /** Requests that came, and those of them that wait for an answer. */
  readonly requests: () => { readonly all: number; readonly waiting: number }
  readonly behave: (manner: Manner) => void
}

interface OtlpValue {
  readonly stringValue?: string
  readonly intValue?: string | number
  readonly boolValue?: boolean
  readonly doubleValue?: number
}

interface OtlpAttribute {
  readonly key: string
  readonly value: OtlpValue
}

interface OtlpRequest {
  readonly resourceSpans: ReadonlyArray<{
    readonly resource: { readonly attributes: ReadonlyArray<OtlpAttribute> }
    readonly scopeSpans: ReadonlyArray<{
      readonly spans: ReadonlyArray<{
        readonly traceId: string
        readonly spanId: string
        readonly parentSpanId?: string
        readonly name: string
        readonly kind: number
        readonly startTimeUnixNano: string
        readonly endTimeUnixNano: string
        readonly attributes: ReadonlyArray<OtlpAttribute>
        readonly links?: ReadonlyArray<{ readonly traceId: string; readonly spanId: string }>
        readonly status: { readonly code?: number }
      }>
    }>
  }>
}

export const startTraceCollector = async (): Promise<TraceCollector> => {
  const spans: Array<CollectedSpan> = []
  const waiting = new Set<ServerResponse>()
  let headers: IncomingHttpHeaders = {}
  let all = 0
  let manner: Manner = "takes"
  const server = createServer((request, response) => {
    void buffer(request).then((body) => {
      all++
      headers = request.headers
      if (manner === "hangs") {
        waiting.add(response)
        response.once("close", () => waiting.delete(response))
        return
      }
      if (request.method !== "POST" || request.url !== "/v1/traces" || typeof manner === "number") {
        response.writeHead(typeof manner === "number" ? manner : 404).end()
        return
      }
      // What the specification says that a client sends with this media type.
      const sent = JSON.parse(body.toString("utf8")) as OtlpRequest
      spans.push(...spansOf(sent))
      response.writeHead(200, { "content-type": "application/json" }).end("{}")
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  // The address of a listening TCP server is an AddressInfo.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    spans: () => [...spans],
    ofTrace: (traceId) => spans.filter((span) => span.traceId === traceId),
    headers: () => headers,
    requests: () => ({ all, waiting: waiting.size }),
    behave: (next) => void (manner = next),
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  }
}

const spansOf = ({ resourceSpans }: OtlpRequest): ReadonlyArray<CollectedSpan> =>
  resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap((scope) =>
      scope.spans.map((span) => ({
        service: String(valuesOf(resource.attributes)["service.name"]),
        traceId: hex(span.traceId, 32),
        spanId: hex(span.spanId, 16),
        parentSpanId: span.parentSpanId === undefined ? "" : hex(span.parentSpanId, 16),
        name: span.name,
        kind: span.kind,
        startNanos: BigInt(span.startTimeUnixNano),
        endNanos: BigInt(span.endTimeUnixNano),
        attributes: valuesOf(span.attributes),
        links: (span.links ?? []).map(({ spanId, traceId }) => ({
          traceId: hex(traceId, 32),
          spanId: hex(spanId, 16)
        })),
        status: span.status.code ?? 0
      }))
    )
  )

/** OTLP's JSON writes ids in hex, unlike other bytes. */
const hex = (text: string, length: number): string => {
  if (!new RegExp(`^[0-9a-f]{${length}}$`).test(text)) throw new Error(`"${text}" is no id of ${length} hex digits`)
  return text
}

const valuesOf = (attributes: ReadonlyArray<OtlpAttribute>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    attributes.map(({ key, value }) => [
      key,
      value.intValue === undefined
        ? (value.stringValue ?? value.boolValue ?? value.doubleValue)
        : Number(value.intValue)
    ])
  )
