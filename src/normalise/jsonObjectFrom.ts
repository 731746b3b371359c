import { Result } from "effect"
import { isJsonObject, type Json, type JsonObject } from "../domain/AuditRecord.ts"
import { unreadable, type Unreadable } from "./Unreadable.ts"

/** Reads a JSON object. `JSON.parse` keeps a `__proto__` key as a plain key, so nothing it returns is ever inherited. */
export const jsonObjectFrom = (text: string): Result.Result<JsonObject, Unreadable> =>
  Result.flatMap(jsonFrom(text), (value) =>
    isJsonObject(value) ? Result.succeed(value) : Result.fail(unreadable("", "it is not a JSON object"))
  )

export const jsonFrom = (text: string): Result.Result<Json, Unreadable> => {
  try {
    // JSON.parse returns any; it can only be JSON.
    return Result.succeed(JSON.parse(text) as Json)
  } catch {
    return Result.fail(unreadable("", "it is not JSON"))
  }
}
