/**
 * What a stopped program's embedded ClickHouse holds.
 */
import { createClient } from "@clickhouse/client"
import { startClickHouseBridge } from "./clickhouseBridge.ts"

/** Opens the folder in a process of its own, asks, and closes it. Only while no other process has it open. */
export const queryFolder = async <Row>(folder: string, sql: string): Promise<ReadonlyArray<Row>> => {
  const bridge = await startClickHouseBridge({ folder })
  const client = createClient({ url: bridge.url, database: "activity" })
  try {
    return await (await client.query({ query: sql, format: "JSONEachRow" })).json()
  } finally {
    await client.close()
    await bridge.stop()
  }
}
