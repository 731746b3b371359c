/** One of several replicas at a time, where there is no cluster: a key of a bucket. */
import { Effect, Option } from "effect"
import { type Lease, leaseKeptIn, type LeaseOptions, type LeaseRecord } from "../Lease.ts"
import { type BucketEntry, Nats, type NatsError } from "./Nats.ts"

const bucketName = "activity_leases"
/** A lease has some hundred bytes. */
const bucketOptions = { history: 1, sizeBytesMax: 1024 * 1024 }

export const makeBucketLease = (options: LeaseOptions): Effect.Effect<Lease, never, Nats> =>
  Effect.gen(function* () {
    const nats = yield* Nats
    // Opened each time: it may be gone with the server's data.
    const bucket = nats.bucket(bucketName, bucketOptions)

    const read = Effect.flatMap(bucket, ({ get }) => get(options.name)).pipe(
      Effect.map((entry) => (Option.isNone(entry) ? undefined : leaseFrom(entry.value, options.durationMillis)))
    )
    const write = (found: BucketLease | undefined, heldBy: string) =>
      Effect.gen(function* () {
        const { create, update } = yield* bucket
        const value = encoder.encode(JSON.stringify({ holder: heldBy, durationMillis: options.durationMillis }))
        const revision = yield* found === undefined
          ? create(options.name, value)
          : update(options.name, value, found.revision)
        return bucketLease({ holder: heldBy, durationMillis: options.durationMillis }, revision)
      })
    const raced = ({ reason }: NatsError) => reason._tag === "RevisionMismatch"
    return yield* leaseKeptIn({ read, write, raced }, options)
  })

interface BucketLease extends LeaseRecord {
  readonly revision: number
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

const leaseFrom = ({ revision, value }: BucketEntry, durationMillis: number): BucketLease => {
  // Only this module writes there.
  const { holder, ...kept } = JSON.parse(decoder.decode(value)) as Partial<BucketLease>
  return bucketLease({ holder: holder ?? "", durationMillis: kept.durationMillis ?? durationMillis }, revision)
}

const bucketLease = (kept: Pick<LeaseRecord, "holder" | "durationMillis">, revision: number): BucketLease => ({
  ...kept,
  version: String(revision),
  revision
})
