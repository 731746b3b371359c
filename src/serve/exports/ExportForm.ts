/** The lines of an export: facts, and marks between them that say how far it has come. */
import type { StoredFact } from "../../store/FactQueries.ts"
import type { ApiFailure } from "../ApiFailure.ts"

/** What stands behind a page of facts. */
export interface ExportMark {
  /** Where it goes on, were it cut behind this; undefined: that was all. */
  readonly continue: string | undefined
  /** The time of the last fact before it, RFC 3339; undefined at the end. */
  readonly reached: string | undefined
  /** Facts of this answer so far. */
  readonly rows: number
}

/** Each text is whole lines. */
export interface ExportForm {
  readonly contentType: string
  /** What every answer begins with. */
  readonly opening: string
  readonly page: (facts: ReadonlyArray<StoredFact>, mark: ExportMark) => string
  /** Why nothing more comes. */
  readonly failed: (error: ApiFailure) => string
}
