/** A replica: publishes its name as long as it holds the lease. `node leaseHolder.ts URL NAME STREAM` */
import { Console, Effect } from "effect"
import { whenHeld } from "../../../src/clients/Lease.ts"
import { Nats } from "../../../src/clients/nats/Nats.ts"
import { makeBucketLease } from "../../../src/clients/nats/lease.ts"
import { natsLayer } from "../../../src/clients/nats/natsLayer.ts"
import { durationMillis } from "../leaseReplica.ts"
import { messagesOf, streamOf } from "./fixtures.ts"

const [, , url = "", holder = "", name = ""] = process.argv

const work = Effect.gen(function* () {
  const nats = yield* Nats
  const lease = yield* makeBucketLease({ name: "test", holder, durationMillis })
  let count = 0
  const publishing = Effect.gen(function* () {
    yield* whenHeld(lease)
    yield* nats.publish(messagesOf(streamOf(name), holder, 1, { first: count++ }))
    yield* Effect.sleep("20 millis")
  }).pipe(Effect.forever)
  yield* Console.log(`${holder} stands by`)
  return yield* lease.whileHeld(publishing)
})

await Effect.runPromise(work.pipe(Effect.provide(natsLayer({ servers: [url], name: holder }))))
