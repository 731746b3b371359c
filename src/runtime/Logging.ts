/**
 * Logs: one JSON line per change of state, on standard error, or in a file where standard output is for people.
 *
 * A line is `{"time", "level", "message", …}`; what was logged beside the message, and annotations, are its other fields,
 * and `trace_id` and `span_id` where it was logged within a trace.
 */
import { Cause, Effect, type Layer, Logger, References, type Tracer } from "effect"
import { createWriteStream } from "node:fs"
import { Tracing } from "./Tracing.ts"

type Fields = Readonly<Record<string, unknown>>

/** What a line holds, before it is JSON. */
const fieldsOf: Logger.Logger<unknown, Fields> = Logger.make(({ cause, date, fiber, logLevel, message }) => {
  // An array of what was logged, or the one thing that was.
  const [text, ...rest]: ReadonlyArray<unknown> = Array.isArray(message) ? message : [message]
  return {
    time: date.toISOString(),
    level: logLevel.toLowerCase(),
    message: typeof text === "string" ? text : JSON.stringify(text),
    ...(fiber.getRef(Tracing) === undefined ? {} : traceOf(fiber.cache.span)),
    ...fiber.getRef(References.CurrentLogAnnotations),
    ...Object.assign({}, ...rest.map(fieldFrom)),
    ...(cause.reasons.length === 0 ? {} : { cause: Cause.pretty(cause) })
  }
})

/** Of what is traced alone: only that can be found by it. */
const traceOf = (span: Tracer.AnySpan | undefined): Fields =>
  span?.sampled === true ? { trace_id: span.traceId, span_id: span.spanId } : {}

/** Errors by name and sentence: what they carry besides is for programs. */
const fieldFrom = (value: unknown): Fields => {
  if (Cause.isCause(value)) return { error: Cause.pretty(value) }
  if (typeof value !== "object" || value === null) return { detail: value }
  if (value instanceof Error) return { error: value.message }
  return "_tag" in value ? { error: "message" in value ? value.message : value._tag } : { ...value }
}

const lineOf = (fields: Fields): string => `${JSON.stringify(fields)}\n`

/** JSON lines on standard error. */
export const jsonLogs: Layer.Layer<never> = Logger.layer([
  Logger.map(fieldsOf, (fields) => void process.stderr.write(lineOf(fields)))
])

/**
 * JSON lines appended to a file, which is closed with the scope; warnings besides on standard error, as a sentence for
 * the person at the terminal.
 */
export const fileLogs = (path: string): Layer.Layer<never> =>
  Logger.layer([
    Effect.map(
      Effect.acquireRelease(
        Effect.sync(() => createWriteStream(path, { flags: "a", mode: 0o600 })),
        (stream) => Effect.callback<void>((resume) => void stream.end(() => resume(Effect.void)))
      ),
      (stream) =>
        Logger.map(fieldsOf, (fields) => {
          stream.write(lineOf(fields))
          if (warningLevels.has(String(fields["level"]))) process.stderr.write(`${sentenceOf(fields)}\n`)
        })
    )
  ])

const warningLevels = new Set(["warn", "error", "fatal"])

/** `15:08:33  ! a policy fails: policy core-pod, rule create, cause no such key` */
const sentenceOf = ({ level, message, time, ...fields }: Fields): string => {
  const rest = Object.entries(fields).map(
    ([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`
  )
  return (
    `${String(time).slice(11, 19)}  ! ${String(message)}${rest.length === 0 ? "" : `: ${rest.join(", ")}`}` +
    (level === "warn" ? "" : ` (${String(level)})`)
  )
}
