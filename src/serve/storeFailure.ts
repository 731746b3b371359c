/** What a caller is told when a read of stored facts fails. */
import type { ClickHouseError } from "../clients/clickhouse/ClickHouse.ts"
import { type ApiFailure, failure, unavailable } from "./ApiFailure.ts"

export const storeFailureFrom = (error: ClickHouseError): ApiFailure => {
  switch (error.reason._tag) {
    case "ClickHouseUnavailable":
      return unavailable("the store does not answer: try again")
    case "QueryTooExpensive":
      return failure("Timeout", "the query reads too much: choose a shorter time, or a narrower filter", {
        retryAfterSeconds: 10
      })
    case "ClickHouseRefused":
      return failure("InternalError", `the store refused the query (${error.reason.code})`)
  }
}
