/**
 * How far the Events of a cluster were brought to the bus, kept in NATS: the position of the watch, and the
 * {@link Sights} that belong to it.
 *
 * Sights are kept as a whole, and as what has changed since; both in pieces of at most 512 KiB, in numbered slots, and
 * the entry `<cluster>.head` names the slots that count, in order. Everything is only written over what was read: who has
 * lost the lease cannot go back behind who has it now. Slots are used again, never removed: each removal would leave a
 * mark in the stream for ever.
 */
import { Effect, Option, Schema } from "effect"
import { type Bucket, Nats, type NatsError } from "../../clients/nats/Nats.ts"
import { type Tenant, tenantFromHeader, tenantHeader } from "../../domain/Tenant.ts"
import type { Sight, SightChange } from "./Sights.ts"

/** Where reading goes on. */
export interface Position {
  /** Of the watch; "" before the first list was complete. */
  readonly resourceVersion: string
  /** Of MILO_EVENTS: whatever was published up to here is among the sights. */
  readonly sequence: number
  /** When the API server last said that this is where it is, milliseconds since 1970; 0 before it ever did. */
  readonly seenUntilMillis: number
  /** What the order of a sight is higher than its resourceVersion: grows when resourceVersions go back. Decimal. */
  readonly orderOffset: string
}

export interface CheckpointState extends Position {
  /** There was a checkpoint. */
  readonly isFound: boolean
  readonly sights: ReadonlyMap<string, Sight>
}

export interface Checkpoint {
  readonly load: Effect.Effect<CheckpointState, NatsError>
  /**
   * Saves the changes since the last save, and the position behind them. Once in a while all of `whole`, in their place.
   *
   * @param guard run before each write; does not return once the lease is lost
   */
  readonly save: (
    changes: ReadonlyArray<SightChange>,
    position: Position,
    whole: () => Iterable<Sight>,
    guard: Effect.Effect<void>
  ) => Effect.Effect<void, NatsError>
}

const bucketName = "activity_exporter"
/** Some 800,000 living Events, twice. */
const bucketOptions = { history: 1, sizeBytesMax: 128 * 1024 * 1024 } as const
const pieceBytesMax = 512 * 1024
/** What has changed is gathered in a new whole when it is larger than the whole, or consists of so many pieces. */
const deltasMax = 256

interface Head extends Position {
  /** Keys of pieces, in the order in which they apply. */
  readonly whole: ReadonlyArray<string>
  readonly deltas: ReadonlyArray<string>
}

const emptyHead: Head = {
  resourceVersion: "",
  sequence: 0,
  seenUntilMillis: 0,
  orderOffset: "0",
  whole: [],
  deltas: []
}

export const makeCheckpoint = (cluster: string): Effect.Effect<Checkpoint, never, Nats> =>
  Effect.gen(function* () {
    const nats = yield* Nats
    const prefix = cluster.replaceAll(".", "=")
    const headKey = `${prefix}.head`
    let opened: Bucket | undefined = undefined
    let head = emptyHead
    /** Of every entry that there is. */
    let revisions: Map<string, number> = new Map()
    /** The bucket was removed, and what it held. */
    let isLost = false
    let wholeBytes = 0
    let deltaBytes = 0

    const bucket = Effect.suspend(() =>
      opened === undefined
        ? nats.bucket(bucketName, bucketOptions).pipe(Effect.tap((found) => Effect.sync(() => void (opened = found))))
        : Effect.succeed(opened)
    )

    /** Somebody may have removed the bucket since something failed: then all has to be saved again. */
    const reopen = Effect.gen(function* () {
      if (opened !== undefined) return
      const found = yield* (yield* bucket).get(headKey)
      if (Option.isSome(found) || !revisions.has(headKey)) return
      revisions = new Map()
      head = emptyHead
      isLost = true
      yield* Effect.logError("the checkpoint is gone, and is made anew", { bucket: bucketName, cluster })
    }).pipe(Effect.tapError(() => forget))
    const forget = Effect.sync(() => void (opened = undefined))

    const load = Effect.gen(function* () {
      const { entries } = yield* (yield* bucket).list
      const values = new Map(entries.map((entry) => [entry.key, entry.value]))
      revisions = new Map(entries.map((entry) => [entry.key, entry.revision]))
      const found = values.get(headKey)
      const read = found === undefined ? undefined : headFrom(decoder.decode(found))
      const isWhole = read !== undefined && [...read.whole, ...read.deltas].every((key) => values.has(key))
      if (found !== undefined && !isWhole) {
        yield* Effect.logError("the checkpoint cannot be understood, and counts as none", {
          bucket: bucketName,
          cluster
        })
      }
      head = isWhole ? read : emptyHead
      wholeBytes = sizeOf(values, head.whole)
      deltaBytes = sizeOf(values, head.deltas)
      const sights = new Map<string, Sight>()
      const tenants = new Map<string, Tenant>()
      for (const key of [...head.whole, ...head.deltas]) {
        for (const change of changesFrom(decoder.decode(values.get(key)), tenants)) {
          if (change.resourceVersion === undefined) sights.delete(change.uid)
          else sights.set(change.uid, change)
        }
      }
      const { orderOffset, resourceVersion, seenUntilMillis, sequence } = head
      return { resourceVersion, sequence, seenUntilMillis, orderOffset, isFound: isWhole, sights }
    }).pipe(Effect.tapError(() => forget))

    const write = (key: string, value: Uint8Array, guard: Effect.Effect<void>): Effect.Effect<void, NatsError> =>
      Effect.gen(function* () {
        const into = yield* bucket
        const over = Effect.suspend(() => {
          const revision = revisions.get(key)
          return revision === undefined ? into.create(key, value) : into.update(key, value, revision)
        })
        yield* guard
        const revision = yield* over.pipe(
          Effect.catchIf(
            (error) => error.reason._tag === "RevisionMismatch",
            // Either the lease is lost, and the guard keeps us here; or what its last holder still had on its way has
            // arrived, and is ours to write over.
            () =>
              Effect.gen(function* () {
                yield* guard
                const found = yield* into.get(key)
                if (Option.isSome(found)) revisions.set(key, found.value.revision)
                else revisions.delete(key)
                return yield* over
              })
          )
        )
        revisions.set(key, revision)
      })

    const writePieces = (changes: Iterable<SightChange>, used: ReadonlyArray<string>, guard: Effect.Effect<void>) =>
      Effect.gen(function* () {
        const taken = new Set(used)
        const keys: Array<string> = []
        let sizeBytes = 0
        let slot = 0
        for (const value of piecesOf(changes)) {
          while (taken.has(`${prefix}.${slot}`)) slot++
          const key = `${prefix}.${slot++}`
          yield* write(key, value, guard)
          keys.push(key)
          sizeBytes += value.length
        }
        return { keys, sizeBytes }
      })

    const save: Checkpoint["save"] = (changes, position, whole, guard) =>
      Effect.gen(function* () {
        yield* reopen
        const used = [...head.whole, ...head.deltas]
        const gather = isLost || deltaBytes > Math.max(pieceBytesMax, wholeBytes) || head.deltas.length >= deltasMax
        const written = yield* writePieces(gather ? whole() : changes, used, guard)
        const next = {
          ...position,
          whole: gather ? written.keys : head.whole,
          deltas: gather ? [] : [...head.deltas, ...written.keys]
        }
        yield* write(headKey, encoder.encode(JSON.stringify(next)), guard)
        head = next
        isLost = false
        wholeBytes = gather ? written.sizeBytes : wholeBytes
        deltaBytes = gather ? 0 : deltaBytes + written.sizeBytes
      }).pipe(Effect.tapError(() => forget))

    return { load, save }
  })

const sizeOf = (values: ReadonlyMap<string, Uint8Array>, keys: ReadonlyArray<string>): number =>
  keys.reduce((sum, key) => sum + (values.get(key)?.length ?? 0), 0)

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Undefined when it is none: somebody else wrote it. */
const headFrom = (text: string): Head | undefined =>
  Option.getOrUndefined(Option.map(decodeHead(text), (found) => ({ ...emptyHead, ...found })))

const decodeHead = Schema.decodeUnknownOption(
  Schema.fromJsonString(
    Schema.Struct({
      resourceVersion: Schema.String,
      sequence: Schema.Number,
      seenUntilMillis: Schema.Number,
      // Absent from those of before there was one.
      orderOffset: Schema.optionalKey(Schema.String.check(Schema.isPattern(/^\d{1,19}$/))),
      whole: Schema.Array(Schema.String),
      deltas: Schema.Array(Schema.String)
    })
  )
)

/** One line per change: uid, resourceVersion and tenant, or the uid of what is gone. */
const lineOf = (change: SightChange): string =>
  change.resourceVersion === undefined
    ? `${change.uid}\n`
    : `${change.uid} ${change.resourceVersion} ${tenantHeader(change.tenant)}\n`

function* piecesOf(changes: Iterable<SightChange>): Generator<Uint8Array> {
  let text = ""
  for (const change of changes) {
    // All of it is ASCII: characters are bytes.
    if (text.length > 0 && text.length + 1_024 > pieceBytesMax) {
      yield encoder.encode(text)
      text = ""
    }
    text += lineOf(change)
  }
  if (text.length > 0) yield encoder.encode(text)
}

/** @param tenants those met before: one object for all Events of one */
function* changesFrom(text: string, tenants: Map<string, Tenant>): Generator<SightChange> {
  for (const line of text.split("\n")) {
    if (line === "") continue
    const [uid = "", resourceVersion, tenant] = line.split(" ")
    if (resourceVersion === undefined || tenant === undefined) yield { uid, resourceVersion: undefined }
    else {
      const met = tenants.get(tenant) ?? tenantFromHeader(tenant)
      tenants.set(tenant, met)
      yield { uid, resourceVersion, tenant: met }
    }
  }
}
