/**
 * Which trace something belongs to, as requests and messages say it.
 *
 * @source https://www.w3.org/TR/trace-context/#traceparent-header
 */

export interface TraceContext {
  /** 32 hex digits. */
  readonly traceId: string
  /** Of the span that made the request or message: 16 hex digits. */
  readonly spanId: string
  /** Whoever began the trace wants it recorded. */
  readonly sampled: boolean
}

/** Version, trace, span and flags; later versions may have more behind them. */
const form = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/** Undefined when it is none, as the specification says: then there is no trace to go on with. */
export const traceContextFrom = (traceparent: string): TraceContext | undefined => {
  const [, version = "", traceId = "", spanId = "", flags = "", more] = form.exec(traceparent) ?? []
  if (traceId === "" || (version === "00" && more !== undefined)) return undefined
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }
}

/** Of something whose trace is recorded. */
export const traceparentOf = ({ spanId, traceId }: Pick<TraceContext, "spanId" | "traceId">): string =>
  `00-${traceId}-${spanId}-01`
