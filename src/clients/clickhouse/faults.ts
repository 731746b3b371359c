/**
 * Sorts what the engine says into the three reasons of {@link ClickHouseError}, by its code alone.
 *
 * @source https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp
 */
import { ClickHouseError, ClickHouseRefused, ClickHouseUnavailable, QueryTooExpensive } from "./ClickHouse.ts"

/** TOO_MANY_ROWS, TIMEOUT_EXCEEDED, TOO_SLOW, TOO_MANY_BYTES, TOO_MANY_ROWS_OR_BYTES. */
const expensiveCodes: ReadonlySet<number> = new Set([158, 159, 160, 307, 396])

/**
 * The state of the server or its disk, not of the statement: CANNOT_READ_FROM_FILE_DESCRIPTOR,
 * CANNOT_WRITE_TO_FILE_DESCRIPTOR, CANNOT_OPEN_FILE, CANNOT_FSYNC, FILE_DOESNT_EXIST, CANNOT_ALLOCATE_MEMORY, DNS_ERROR,
 * TOO_MANY_SIMULTANEOUS_QUERIES, NO_FREE_CONNECTION, SOCKET_TIMEOUT, NETWORK_ERROR, NO_ZOOKEEPER, ABORTED,
 * MEMORY_LIMIT_EXCEEDED, TABLE_IS_READ_ONLY, NOT_ENOUGH_SPACE, TOO_MANY_PARTS, ALL_CONNECTION_TRIES_FAILED,
 * TOO_FEW_LIVE_REPLICAS, UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE, UNKNOWN_STATUS_OF_INSERT, QUERY_WAS_CANCELLED,
 * SYSTEM_ERROR, CANNOT_SCHEDULE_TASK, SERVER_OVERLOADED, KEEPER_EXCEPTION, and exceptions that are not ClickHouse's own
 * (POCO_EXCEPTION, STD_EXCEPTION, UNKNOWN_EXCEPTION): mostly files and sockets.
 */
const unavailableCodes: ReadonlySet<number> = new Set([
  74, 75, 76, 87, 107, 173, 198, 202, 203, 209, 210, 225, 236, 241, 242, 243, 252, 279, 285, 286, 319, 394, 425, 439,
  745, 999, 1000, 1001, 1002
])

/**
 * The statement, the schema or the rights are at fault, whatever the rows are: UNSUPPORTED_METHOD, UNKNOWN_IDENTIFIER
 * and its kin, UNKNOWN_TABLE, SYNTAX_ERROR, UNKNOWN_DATABASE, UNKNOWN_SETTING, READONLY, UNKNOWN_USER, WRONG_PASSWORD,
 * REQUIRED_PASSWORD, QUOTA_EXCEEDED, ACCESS_DENIED, AUTHENTICATION_FAILED.
 */
const statementCodes: ReadonlySet<number> = new Set([
  1, 8, 10, 16, 46, 47, 48, 60, 62, 81, 115, 164, 192, 193, 194, 201, 497, 516
])

export const errorOf = (code: number, description: string): ClickHouseError =>
  expensiveCodes.has(code)
    ? new ClickHouseError({ reason: new QueryTooExpensive({ code, description }) })
    : unavailableCodes.has(code)
      ? unavailable(new Error(`code ${code}: ${description}`))
      : new ClickHouseError({ reason: new ClickHouseRefused({ code, description }) })

export const unavailable = (cause: unknown): ClickHouseError =>
  new ClickHouseError({ reason: new ClickHouseUnavailable({ cause }) })

/**
 * One of the inserted rows may be the cause of this refusal, so that the others would be stored without it.
 *
 * A column that the table lacks is a schema older than this program: it is nobody's row. The engine tells it with the
 * code of wrong rows, so its words count, and only in their place: further on, a row's own text may be quoted.
 */
export const mayBeRowFault = (refused: ClickHouseRefused): boolean =>
  !statementCodes.has(refused.code) && !(refused.code === 117 && unknownColumn.test(refused.description))

const unknownColumn = /^(?:Code: 117\. DB::Exception: )*Unknown field found/
