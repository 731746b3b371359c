/**
 * Plays the demo once per data folder: records through the webhook, as kube-apiserver would send them, Events into the
 * bus beside them.
 */
import { Clock, Console, Effect, Result, Schema } from "effect"
import { existsSync } from "node:fs"
import { request } from "node:https"
import { Nats, type OutgoingMessage } from "../../clients/nats/Nats.ts"
import type { Tenant } from "../../domain/Tenant.ts"
import { kubernetesEventFrom } from "../../normalise/kubernetesEventFrom.ts"
import { untilHealed } from "../consumeBatches.ts"
import { eventMessage } from "../eventMessage.ts"
import { type DataFolder, writeWhole } from "./DataFolder.ts"
import { type DemoStep, demoSteps } from "./demo.ts"

/** The webhook did not take a batch. */
class DemoRefused extends Schema.TaggedError<DemoRefused>()("DemoRefused", {
  description: Schema.String
}) {}

export interface DemoOptions {
  readonly folder: DataFolder
  readonly audit: string
  readonly authority: string
  readonly auditToken: string
  readonly cluster: string
  readonly defaultTenant: Tenant
}

/** Forty steps of ten records: a quarter of a second each gives a demo of ten seconds that can be read along. */
const stepPause = "250 millis"

const markOf = (folder: DataFolder): string => folder.at("demo-played")

/** It was played on this folder before. */
export const demoPlayed = (folder: DataFolder): boolean => existsSync(markOf(folder))

/** Ends when everything was taken. */
export const playDemo = (options: DemoOptions) =>
  Effect.gen(function* () {
    const nats = yield* Nats
    yield* Console.log("Playing ten seconds of a recorded cluster (--no-demo leaves it out):\n")
    for (const step of demoSteps(yield* Clock.currentTimeMillis)) {
      yield* postRecords(options, step.records).pipe(
        Effect.andThen(nats.publish(messagesFrom(options, step))),
        Effect.tapError((error) => Effect.logWarning("the demo waits", error)),
        Effect.retry(untilHealed)
      )
      yield* Effect.sleep(stepPause)
    }
    yield* Effect.sync(() => writeWhole(markOf(options.folder), "Remove this file to play the demo again.\n"))
  })

const messagesFrom = (options: DemoOptions, step: DemoStep): ReadonlyArray<OutgoingMessage> =>
  step.events.flatMap((frame) => {
    const event = kubernetesEventFrom(frame.object, { cluster: options.cluster, tenant: options.defaultTenant })
    return Result.isSuccess(event) ? [eventMessage(event.success, frame.type === "ADDED" ? "added" : "modified")] : []
  })

const postRecords = (options: DemoOptions, records: ReadonlyArray<string>): Effect.Effect<void, DemoRefused> =>
  Effect.callback((resume) => {
    const refuse = (description: string) => resume(Effect.fail(new DemoRefused({ description })))
    const body = `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[${records.join(",")}]}`
    const sending = request(
      options.audit,
      {
        method: "POST",
        ca: options.authority,
        headers: {
          "content-type": "application/json",
          "content-length": Buffer.byteLength(body),
          authorization: `Bearer ${options.auditToken}`
        }
      },
      (response) => {
        response.resume()
        response.once("end", () =>
          response.statusCode === 200 ? resume(Effect.void) : refuse(`the webhook answered ${response.statusCode}`)
        )
        response.once("error", (cause) => refuse(cause.message))
      }
    )
    sending.once("error", (cause) => refuse(cause.message))
    sending.end(body)
  })
