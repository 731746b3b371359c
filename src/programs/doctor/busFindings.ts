/** NATS: whether it is there, and whether its streams keep what they must. */
import { Effect } from "effect"
import { lookAtBus, type StreamSeen } from "../../clients/nats/lookAtBus.ts"
import { allStreams, deadLetters, type StreamDefinition } from "../../domain/streams.ts"
import { policyBucketName } from "../../store/PolicyBucket.ts"
import { natsOptions, type NatsSettings } from "../layers.ts"
import type { Finding } from "./Finding.ts"
import { bucketPolicyFindings } from "./policyFindings.ts"

/** A record with the largest object that etcd takes (1.5 MiB), as it was sent and as it is stored, and some room. */
const messageSizeBytesMin = 4 * 1024 * 1024
/** What was consumed is trimmed at 60 %; the alert for it has the same bound. */
const fillMax = 0.8

export const busFindings = (
  settings: NatsSettings & { readonly streamScale: number; readonly policyStore: string }
): Effect.Effect<ReadonlyArray<Finding>> =>
  Effect.gen(function* () {
    const bus = yield* lookAtBus(natsOptions(settings, "doctor"))
    const streams = yield* bus.streams
    const policies =
      settings.policyStore === "nats" ? bucketPolicyFindings(yield* bus.bucketEntries(policyBucketName)) : []
    return [...payloadFindings(bus.messageSizeBytesMax), ...streamFindings(streams, settings.streamScale), ...policies]
  }).pipe(
    Effect.scoped,
    Effect.catchTag("NatsError", (error) =>
      Effect.succeed([
        finding(
          error.message.replace(/^[a-z.]+: /i, "").replace(/: start nats-server.*/, ""),
          "--nats-url",
          error.message.includes("JetStream")
            ? "start nats-server with -js, or enable JetStream for the account"
            : "start NATS, or name where it is; --nats-ca and --nats-credentials if it asks for them"
        )
      ])
    )
  )

const finding = (problem: string, setting: string, remedy: string): Finding => ({
  severity: "fault",
  part: "nats",
  problem,
  setting,
  remedy
})

const mebibytes = (bytes: number): string => `${Math.round((bytes / 2 ** 20) * 10) / 10} MiB`

export const payloadFindings = (sizeBytesMax: number): ReadonlyArray<Finding> =>
  sizeBytesMax >= messageSizeBytesMin
    ? []
    : [
        finding(
          `the largest message is ${mebibytes(sizeBytesMax)}: larger records lose their bodies, larger Events are dead letters`,
          "--nats-url",
          "set max_payload: 8MB in the configuration of nats-server"
        )
      ]

export const streamFindings = (
  streams: ReadonlyArray<StreamSeen>,
  scale: number,
  definitions: ReadonlyArray<StreamDefinition> = allStreams
): ReadonlyArray<Finding> =>
  definitions.flatMap((definition) => {
    const seen = streams.find(({ name }) => name === definition.name)
    return seen === undefined
      ? [
          finding(
            `the stream ${definition.name} is missing`,
            "--nats-url",
            "start collector, processor and writer: they make it. If it was there before, NATS has lost its data: docs/backup.md"
          )
        ]
      : [
          ...shapeFindings(seen, definition, scale),
          ...consumerFindings(seen, definition),
          ...(definition.name === deadLetters.name ? deadLetterFindings(seen) : [])
        ]
  })

/** Whoever makes or changes streams besides us: a controller, a script. */
const restart = "see who else sets it; then restart a program that publishes there, which sets it back"

const shapeFindings = (seen: StreamSeen, { name, sizeBytesMax, subjects }: StreamDefinition, scale: number) => {
  const wanted = Math.max(2 ** 20, Math.floor(sizeBytesMax * scale))
  const found: Array<Finding> = []
  const say = (problem: string, setting: string, remedy: string) => found.push(finding(problem, setting, remedy))
  if (seen.retention !== "limits") {
    say(
      `${name} has retention ${seen.retention}: it deletes what was read once`,
      "--nats-url",
      "this cannot be changed: let writer and processor read it empty, delete it, and restart the programs"
    )
  }
  if (!seen.onDisk) {
    say(
      `${name} is kept in memory: a restart of NATS loses it`,
      "--nats-url",
      "this cannot be changed: let writer and processor read it empty, delete it, and restart the programs"
    )
  }
  if (!seen.refusesNew) say(`${name} throws its oldest away when it is full (discard old)`, "--nats-url", restart)
  if (seen.ageMillisMax > 0) {
    say(
      `${name} deletes what is older than ${Math.round(seen.ageMillisMax / 1000)} s, read or not (max_age)`,
      "--nats-url",
      restart
    )
  }
  if (seen.messagesMax > 0) {
    say(`${name} keeps ${seen.messagesMax} messages at most`, "--nats-url", "remove max_msgs and max_msgs_per_subject")
  }
  if ([...seen.subjects].sort().join(" ") !== [...subjects].sort().join(" ")) {
    say(`${name} has the subjects ${seen.subjects.join(", ")}, not ${subjects.join(", ")}`, "--nats-url", restart)
  }
  if (seen.sizeBytesMax !== wanted) {
    say(
      `${name} holds ${seen.sizeBytesMax === 0 ? "any size" : mebibytes(seen.sizeBytesMax)}, the settings say ${mebibytes(wanted)}`,
      "--stream-scale",
      "give all programs, and this one, the same"
    )
  }
  if (seen.sizeBytesMax > 0 && seen.sizeBytes > fillMax * seen.sizeBytesMax) {
    say(
      `${name} is ${Math.round((100 * seen.sizeBytes) / seen.sizeBytesMax)} % full`,
      "--stream-scale",
      "see which of its consumers is behind: docs/operations.md, ActivityStreamNearlyFull"
    )
  }
  return found
}

const consumerFindings = (seen: StreamSeen, { name, requiredConsumers }: StreamDefinition): ReadonlyArray<Finding> =>
  requiredConsumers.flatMap((required) => {
    const consumer = seen.consumers.find((one) => one.name === required)
    if (consumer === undefined) {
      return [
        finding(
          `the consumer ${required} of ${name} is missing: the stream is not trimmed, and fills`,
          "--nats-url",
          `start the ${required}: it continues where it was`
        )
      ]
    }
    if (consumer.filtered || !consumer.acknowledgesEach) {
      return [
        finding(
          `the consumer ${required} of ${name} is not as the ${required} makes it: messages pass it by`,
          "--nats-url",
          `delete the consumer and restart the ${required}: it continues where it was`
        )
      ]
    }
    return consumer.waiting === 0 || consumer.attended
      ? []
      : [
          finding(
            `${consumer.waiting} message${consumer.waiting === 1 ? "" : "s"} of ${name} wait${consumer.waiting === 1 ? "s" : ""} for the ${required}, and it does not take them`,
            "--nats-url",
            `start the ${required}, or see its log`
          )
        ]
  })

const deadLetterFindings = ({ messages }: StreamSeen): ReadonlyArray<Finding> =>
  messages === 0
    ? []
    : [
        finding(
          `${messages} dead letter${messages === 1 ? " waits" : "s wait"}: could not be read, told or stored`,
          "",
          "kubectl get deadletters: docs/operations.md, ActivityDeadLetters"
        )
      ]
