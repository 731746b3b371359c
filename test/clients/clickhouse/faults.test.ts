import { assert, describe, it } from "@effect/vitest"
import { ClickHouseRefused } from "../../../src/clients/clickhouse/ClickHouse.ts"
import { errorOf, mayBeRowFault } from "../../../src/clients/clickhouse/faults.ts"

// Names and numbers of https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp
const expected = {
  QueryTooExpensive: {
    TOO_MANY_ROWS: 158,
    TIMEOUT_EXCEEDED: 159,
    TOO_SLOW: 160,
    TOO_MANY_BYTES: 307,
    TOO_MANY_ROWS_OR_BYTES: 396
  },
  ClickHouseUnavailable: {
    TOO_MANY_SIMULTANEOUS_QUERIES: 202,
    NETWORK_ERROR: 210,
    MEMORY_LIMIT_EXCEEDED: 241,
    TABLE_IS_READ_ONLY: 242,
    NOT_ENOUGH_SPACE: 243,
    TOO_MANY_PARTS: 252,
    UNKNOWN_STATUS_OF_INSERT: 319,
    KEEPER_EXCEPTION: 999,
    STD_EXCEPTION: 1001
  },
  ClickHouseRefused: {
    CANNOT_PARSE_DATETIME: 41,
    SYNTAX_ERROR: 62,
    UNKNOWN_TABLE: 60,
    CANNOT_PARSE_UUID: 376,
    ACCESS_DENIED: 497
  }
}

describe("errorOf", () => {
  for (const [tag, codes] of Object.entries(expected)) {
    it(`sorts ${Object.keys(codes).join(", ")} as ${tag}`, () => {
      for (const code of Object.values(codes)) assert.strictEqual(errorOf(code, "words").reason._tag, tag, `${code}`)
    })
  }

  it("only what may pass by itself can be repeated", () => {
    assert.deepStrictEqual(
      [159, 241, 62].map((code) => errorOf(code, "words").retryable),
      [false, true, false]
    )
  })
})

describe("mayBeRowFault", () => {
  const fault = (code: number, description = "words") => mayBeRowFault(new ClickHouseRefused({ code, description }))

  it("a row may be the fault of a refusal to parse, never of a missing table, column or right", () => {
    // CANNOT_PARSE_ESCAPE_SEQUENCE, CANNOT_PARSE_INPUT_ASSERTION_FAILED, CANNOT_PARSE_DATETIME, INCORRECT_DATA, CANNOT_PARSE_UUID
    for (const code of [25, 27, 41, 117, 376]) assert.isTrue(fault(code), `${code}`)
    // NO_SUCH_COLUMN_IN_TABLE, UNKNOWN_IDENTIFIER, UNKNOWN_TABLE, SYNTAX_ERROR, UNKNOWN_DATABASE, UNKNOWN_SETTING,
    // READONLY, ACCESS_DENIED, AUTHENTICATION_FAILED
    for (const code of [16, 47, 60, 62, 81, 115, 164, 497, 516]) assert.isFalse(fault(code), `${code}`)
    assert.isTrue(fault(27, "Code: 27. DB::Exception: Cannot parse: 'Unknown field found': while reading summary"))
    assert.isTrue(fault(117, "Code: 117. DB::Exception: Cannot parse: 'Unknown field found': while reading summary"))
    assert.isFalse(fault(117, "Unknown field found while parsing JSONEachRow format: x"))
    assert.isFalse(fault(117, "Code: 117. DB::Exception: Unknown field found while parsing JSONEachRow format: x"))
  })
})
