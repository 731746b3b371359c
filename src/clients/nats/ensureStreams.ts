/** Streams of the shape of decision 0006-stream-limits, made where they are missing. */
import {
  DiscardPolicy,
  RetentionPolicy,
  StorageType,
  type JetStreamManager,
  type StreamConfig
} from "@nats-io/jetstream"
import { nanos } from "@nats-io/transport-node"
import type { StreamDefinition } from "../../domain/streams.ts"
import { durableConfig } from "./durableConsumer.ts"
import { apiCodes, isFullCode, refusalCode } from "./sortFailure.ts"

/** 500,000 ids cost the server 140 MB; the guarantee is the key, not the window. */
const duplicateWindowMillis = 120_000
/** A stream below this could not hold a single large message. */
const sizeBytesMin = 1024 * 1024

/** What may change while the stream lives. */
const limits = (definition: StreamDefinition, sizeScale: number) => ({
  subjects: [...definition.subjects],
  max_bytes: Math.max(sizeBytesMin, Math.floor(definition.sizeBytesMax * sizeScale)),
  max_age: 0,
  discard: DiscardPolicy.New,
  duplicate_window: nanos(duplicateWindowMillis),
  allow_direct: true
})

/**
 * Creates or updates one stream, and creates its required consumers behind their last known floors.
 *
 * @param firstSequence where a new stream starts
 */
export const ensureStream = async (
  manager: JetStreamManager,
  definition: StreamDefinition,
  options: { readonly sizeScale: number; readonly firstSequence: number },
  floor: (durable: string) => Promise<number | undefined>
): Promise<void> => {
  const wanted = limits(definition, options.sizeScale)
  const known = await manager.streams.info(definition.name).catch((cause: unknown) => {
    if (refusalCode(cause) === apiCodes.streamNotFound) return undefined
    throw cause
  })
  if (known === undefined) {
    await manager.streams
      .add({
        name: definition.name,
        retention: RetentionPolicy.Limits,
        storage: StorageType.File,
        first_seq: options.firstSequence,
        ...wanted
      })
      .catch(explain(definition.name, wanted.max_bytes))
  } else if (differs(known.config, wanted)) {
    await manager.streams.update(definition.name, wanted).catch(explain(definition.name, wanted.max_bytes))
  }
  for (const durable of definition.requiredConsumers) {
    const consumer = await manager.consumers.info(definition.name, durable).catch((cause: unknown) => {
      if (refusalCode(cause) === apiCodes.consumerNotFound) return undefined
      throw cause
    })
    if (consumer !== undefined) continue
    await manager.consumers
      .add(definition.name, durableConfig(durable, await floor(durable)))
      .catch((cause: unknown) => {
        if (refusalCode(cause) !== apiCodes.consumerExists) throw cause
      })
  }
}

const differs = (config: StreamConfig, wanted: ReturnType<typeof limits>): boolean =>
  config.max_bytes !== wanted.max_bytes ||
  config.max_age !== wanted.max_age ||
  config.discard !== wanted.discard ||
  config.duplicate_window !== wanted.duplicate_window ||
  config.allow_direct !== wanted.allow_direct ||
  [...config.subjects].sort().join(" ") !== [...wanted.subjects].sort().join(" ")

/** Another program made it in the same moment, or the server has no room for the budget: said for the person who can mend it. */
const explain =
  (stream: string, sizeBytes: number) =>
  (cause: unknown): void => {
    const code = refusalCode(cause)
    if (code === apiCodes.streamNameInUse) return
    if (isFullCode(code)) {
      const mebibytes = Math.ceil(sizeBytes / 2 ** 20)
      throw new Error(
        `the NATS server has no room for the stream ${stream} of ${mebibytes} MiB (${code}): ` +
          "give it more (max_file_store), or all programs a smaller --stream-scale",
        { cause }
      )
    }
    throw cause
  }
