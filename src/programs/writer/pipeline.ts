/**
 * Streams to tables: AUDIT_EVENTS, MILO_EVENTS and ACTIVITIES, each to its own.
 *
 * At least once, in any order; the tables keep the newest sight of each fact. A message is acknowledged after
 * ClickHouse has it; what cannot be a row goes to the dead letters, alone.
 */
import { Duration, Effect, Metric, Result, Schema } from "effect"
import { ClickHouseError, type ClickHouseRefused } from "../../clients/clickhouse/ClickHouse.ts"
import { type Delivery, Nats, type StoredMessage } from "../../clients/nats/Nats.ts"
import * as streams from "../../domain/streams.ts"
import { anchorMark, headerNames, type Mark } from "../../domain/streams.ts"
import { tenantFromHeader, type Tenant } from "../../domain/Tenant.ts"
import { auditRecordFrom } from "../../normalise/auditRecordFrom.ts"
import { kubernetesEventFromText } from "../../normalise/kubernetesEventFrom.ts"
import { counterFamily, secondsBoundaries } from "../../runtime/Metrics.ts"
import { insertRows } from "../../store/insertRows.ts"
import { activityLine, auditLogLine, kubernetesEventLine, type StoredLine, type StoredTable } from "../../store/rows.ts"
import { consumeBatches } from "../consumeBatches.ts"
import { deadLetterOf } from "../deadLetterOf.ts"

/** One insert: large enough that the engine's work per block does not count, small enough to be soon visible. */
const batchRowsMax = 5_000
const batchWait = Duration.seconds(1)
/** While one batch is inserted the next is read; a third gained nothing when it was measured. */
const batchesInFlight = 2
/** What is being inserted, and as much again on the way. */
const ackPendingMax = batchRowsMax * (batchesInFlight + 2)

/**
 * ClickHouse does not take a batch for a reason that is not in its rows: it is away, or a table, a column or a right is
 * missing. All of it is mended outside while the batch waits.
 */
export class StoreWaits extends Schema.TaggedError<StoreWaits>()("StoreWaits", {
  table: Schema.String,
  refusal: ClickHouseError
}) {
  readonly retryable = true

  override get message(): string {
    const hint = this.#isSchemaOlder() ? "; activity migrate brings the tables to this version" : ""
    return `the table ${this.table} takes no rows: ${this.refusal.message}${hint}`
  }

  /** The database, the table or a column is missing: UNKNOWN_TABLE, UNKNOWN_DATABASE, NO_SUCH_COLUMN_IN_TABLE and its kin. */
  #isSchemaOlder(): boolean {
    const { reason } = this.refusal
    return reason._tag === "ClickHouseRefused" && [16, 47, 60, 81, 117].includes(reason.code)
  }
}

interface DeliveredLine extends StoredLine {
  readonly delivery: Delivery
}

export interface Flow {
  readonly stream: string
  readonly table: StoredTable
  /** Undefined: it is no fact. The failure is why it can never be a row. */
  readonly lineFrom: (message: StoredMessage, defaultTenant: Tenant) => Result.Result<StoredLine | undefined, string>
}

const decoder = new TextDecoder()

export const flows: ReadonlyArray<Flow> = [
  {
    stream: streams.auditEvents.name,
    table: "audit_logs",
    lineFrom: (delivery, defaultTenant) =>
      auditRecordFrom(decoder.decode(delivery.body), {
        cluster: delivery.header(headerNames.cluster),
        defaultTenant
      }).pipe(
        Result.map((record) => auditLogLine(record, delivery.sequence)),
        Result.mapError((error) => error.reason)
      )
  },
  {
    stream: streams.miloEvents.name,
    table: "k8s_events",
    lineFrom: (delivery) => {
      const mark = delivery.header(headerNames.mark)
      if (mark === anchorMark) return Result.succeed(undefined)
      return kubernetesEventFromText(decoder.decode(delivery.body), {
        cluster: delivery.header(headerNames.cluster),
        tenant: tenantFromHeader(delivery.header(headerNames.tenant)),
        order: delivery.header(headerNames.order)
      }).pipe(
        Result.map((event) => kubernetesEventLine(event, delivery.sequence, markFrom(mark))),
        Result.mapError((error) => error.reason)
      )
    }
  },
  {
    stream: streams.activities.name,
    table: "activities",
    lineFrom: (delivery) =>
      activityLine({
        json: decoder.decode(delivery.body),
        mark: markFrom(delivery.header(headerNames.mark)),
        order: orderFrom(delivery.header(headerNames.order)),
        sequence: delivery.sequence
      })
  }
]

const markFrom = (text: string): Mark => (text === "deleted" || text === "modified" ? text : "added")

const orderFrom = (text: string): bigint => (/^\d{1,19}$/.test(text) ? BigInt(text) : 0n)

const rows = Metric.counter("activity_writer_rows_total", { description: "Rows stored", incremental: true })
const poison = Metric.counter("activity_writer_dead_letters_total", {
  description: "Messages that cannot be rows",
  incremental: true
})
const received = counterFamily(
  "activity_writer_received_total",
  "Messages received",
  "stream",
  flows.map((flow) => flow.stream)
)
const insertSeconds = Metric.histogram("activity_writer_insert_seconds", {
  description: "Time to store a batch",
  boundaries: secondsBoundaries
})

export interface WriterOptions {
  readonly defaultTenant: Tenant
}

/** Runs for ever. */
export const write = (options: WriterOptions) => Effect.forEach(flows, runFlow(options), { concurrency: "unbounded" })

const runFlow = (options: WriterOptions) => (flow: Flow) =>
  Effect.gen(function* () {
    const nats = yield* Nats
    const consumer = yield* nats.consumer({ stream: flow.stream, durable: "writer", ackPendingMax })
    return yield* consumeBatches({
      name: `${flow.stream} to ${flow.table}`,
      span: "writer.batch",
      consumer,
      batchMax: batchRowsMax,
      batchWait,
      inFlight: batchesInFlight,
      handle: (batch) => storeBatch(options, flow, batch)
    })
  })

const storeBatch = (options: WriterOptions, flow: Flow, batch: ReadonlyArray<Delivery>) =>
  Effect.gen(function* () {
    const nats = yield* Nats
    const { letters, lines } = linesFrom(options, flow, batch)
    if (letters.length > 0) yield* nats.publish(letters)
    const [took, stored] = yield* Effect.timed(
      insertRows({
        table: flow.table,
        rows: lines,
        onPoison: (row: DeliveredLine, refused: ClickHouseRefused) =>
          nats
            .publish([
              deadLetterOf(row.delivery, {
                program: "writer",
                reason: "row-refused",
                cause: refusalText(refused)
              })
            ])
            .pipe(Effect.andThen(Metric.update(poison, 1)))
      }).pipe(
        Effect.catchTag("ClickHouseError", (refusal) => Effect.fail(new StoreWaits({ table: flow.table, refusal })))
      )
    )
    yield* Metric.update(rows, stored)
    yield* Metric.update(poison, letters.length)
    yield* Metric.update(insertSeconds, Duration.toSeconds(took))
    const counter = received[flow.stream]
    if (counter !== undefined) yield* Metric.update(counter, batch.length)
  })

export const refusalText = ({ code, description }: ClickHouseRefused): string => `ClickHouse ${code}: ${description}`

const linesFrom = (options: WriterOptions, flow: Flow, batch: ReadonlyArray<Delivery>) => {
  const lines: Array<DeliveredLine> = []
  const letters: Array<ReturnType<typeof deadLetterOf>> = []
  for (const delivery of batch) {
    const line = flow.lineFrom(delivery, options.defaultTenant)
    if (Result.isSuccess(line)) {
      if (line.success !== undefined) lines.push({ ...line.success, delivery })
    } else letters.push(deadLetterOf(delivery, { program: "writer", reason: "unreadable", cause: line.failure }))
  }
  return { lines, letters }
}
