/** What keeps a ClickHouse layer from being built: all of it is for the operator to mend, none of it heals by waiting. */
import { Schema } from "effect"

/** chdb is an optional dependency; it is missing, or has no build for this platform. */
export class EmbeddedEngineMissing extends Schema.TaggedError<EmbeddedEngineMissing>()("EmbeddedEngineMissing", {
  cause: Schema.Defect()
}) {
  override get message(): string {
    return (
      "the embedded ClickHouse engine (npm package chdb) is not installed for this platform: " +
      "install it (`npm install chdb`), or set CLICKHOUSE_URL to a ClickHouse server"
    )
  }
}

/** Only one process at a time may hold a data folder. */
export class DataFolderInUse extends Schema.TaggedError<DataFolderInUse>()("DataFolderInUse", {
  folder: Schema.String,
  /** The process that holds it, by its id. */
  holder: Schema.Number
}) {
  override get message(): string {
    return (
      `the data folder ${this.folder} is in use by another process (${this.holder}): stop it, choose another folder, ` +
      "or set CLICKHOUSE_URL to a ClickHouse server that several programs can share"
    )
  }
}

export class DataFolderRefused extends Schema.TaggedError<DataFolderRefused>()("DataFolderRefused", {
  folder: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `the data folder ${this.folder} cannot be opened: ${String(this.cause)}`
  }
}

/** The text is not shown: it may hold a password. */
export class ClickHouseUrlRefused extends Schema.TaggedError<ClickHouseUrlRefused>()("ClickHouseUrlRefused", {
  problem: Schema.String
}) {
  override get message(): string {
    return (
      `CLICKHOUSE_URL: ${this.problem}; allowed are embedded:<folder>[?database=name] and ` +
      "http(s)://user:password@host:port/database"
    )
  }
}

export class ClickHouseSetupError extends Schema.TaggedError<ClickHouseSetupError>()("ClickHouseSetupError", {
  reason: Schema.Union([EmbeddedEngineMissing, DataFolderInUse, DataFolderRefused, ClickHouseUrlRefused])
}) {
  override get message(): string {
    return this.reason.message
  }
}
