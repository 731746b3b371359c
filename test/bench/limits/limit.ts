/** What all benchmarks compare with: the least that the work could cost, measured in the same run. */
import type { Limit, Spent } from "../Benchmark.ts"
import { runPart } from "../processes.ts"

const limit = async (name: string, module: string, options: object): Promise<Limit> => ({
  name,
  ...(await runPart<Spent>(module, options))
})

export const jsonParse = (options: { readonly audit: string | undefined; readonly events: number }) =>
  limit("json_parse", "limits/jsonParse.ts", options)

/** Of a stream, AUDIT_EVENTS when none is named, which holds at least so many. */
export const consumeAndAck = (options: {
  readonly natsUrl: string
  readonly events: number
  readonly stream?: string
}) => limit("consume_and_ack", "limits/consumeAndAck.ts", options)

/** Pages of Events read to their ends, and nothing done with them. PEM texts. */
export const listAlone = (options: {
  readonly url: string
  readonly authority?: string
  readonly certificate?: string
  readonly key?: string
  readonly events: number
}) => limit("list_alone", "limits/listAlone.ts", options)

export type InsertedTable = "audit_logs" | "activities"

/** Rows inserted by the engine that the writer writes to. */
export const insertAlone = (options: {
  readonly audit: string | undefined
  readonly events: number
  readonly table: InsertedTable
}) => limit("insert_alone", "limits/insertAlone.ts", options)

/** Messages as they are published, sent without waiting for any confirmation. */
export const publishUnconfirmed = (options: {
  readonly audit: string | undefined
  readonly events: number
  readonly natsUrl: string
}) => limit("publish_unconfirmed", "limits/publishUnconfirmed.ts", options)

/** Starts of a program that does nothing. */
export const emptyProgram = (options: { readonly events: number }) =>
  limit("empty_program", "limits/emptyProgram.ts", options)
