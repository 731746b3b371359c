/** Tables filled by the engine itself, with as many facts as are wanted in a second. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

export interface FilledKind {
  readonly table: string
  readonly plural: string
  readonly kind: string
  /** Columns besides those that all have, and their values. */
  readonly columns: string
  readonly values: string
  /** An expression of `name`, `version`, `time` and `padding`. */
  readonly json: string
  // What a server sends has no type here.
  readonly identify: (fact: ReturnType<typeof JSON.parse>) => { readonly id: string; readonly version: number }
}

/** Of 32 bytes for each of `padding`. */
const padding = "repeat(hex(MD5(name)), padding)"

export const filledKinds: Readonly<Record<"activity" | "event" | "record", FilledKind>> = {
  record: {
    table: "audit_logs",
    plural: "auditlogqueries",
    kind: "AuditLogQuery",
    columns: "",
    values: "",
    json: `concat('{"auditID":"', name, '","version":', toString(version), ',"requestURI":"', ${padding}, '"}')`,
    identify: ({ auditID, version }) => ({ id: auditID, version })
  },
  event: {
    table: "k8s_events",
    plural: "eventqueries",
    kind: "EventQuery",
    columns: ", last_ts",
    values: ", time",
    json: `concat('{"metadata":{"name":"', name, '"},"version":', toString(version), ',"padding":"', ${padding}, '"}')`,
    identify: ({ event, metadata }) => ({ id: metadata.name, version: event.version })
  },
  activity: {
    table: "activities",
    plural: "activityqueries",
    kind: "ActivityQuery",
    columns: ", last_ts",
    values: ", time",
    json: `concat('{"metadata":{"name":"', name, '"},"spec":{"version":', toString(version), ',"padding":"', ${padding}, '"}}')`,
    identify: ({ metadata, spec }) => ({ id: metadata.name, version: spec.version })
  }
}

export interface Filling {
  readonly rows: number
  readonly name?: string
  /** The tenants `a` to `c` have them in turn. */
  readonly tenants?: 1 | 3
  /** A later one takes the place of an earlier one of the same name and age. */
  readonly version?: number
  /** Of the names, one of so many. */
  readonly everyNth?: number
  /** Of the newest, before the hour in which this process began. Ten and more lie in one microsecond. */
  readonly ageSeconds?: number
  /** 32 bytes of each fact; some 600 bytes without. */
  readonly padding?: number
}

/** One instant for the whole run: a version must not move. */
const began = new Date(Date.now() - 3_600_000).toISOString().slice(0, 19).replace("T", " ")

/** Inserts `${name}0` to `${name}${rows - 1}`, or one of so many of them. */
export const fillTable = (
  command: (sql: string) => Promise<void>,
  { columns, json, table, values }: FilledKind,
  { ageSeconds = 10, everyNth = 1, name = "o", padding: pads = 15, rows, tenants = 1, version = 1 }: Filling
): Promise<void> =>
  command(
    `INSERT INTO ${table} (ts, id, ver, seq, cluster, tenant_type, tenant_name, json${columns}) ` +
      `WITH concat('${name}', toString(number * ${everyNth})) AS name, ${version} AS version, ${pads} AS padding, ` +
      `toDateTime64('${began}', 6, 'UTC') - toIntervalSecond(${ageSeconds}) - toIntervalMicrosecond(intDiv(number * ${everyNth}, 13)) AS time ` +
      `SELECT time, toUUID(lower(hex(MD5(name)))), ${version}, ${version}, 'local', 'Project', ` +
      `['a', 'b', 'c'][1 + (number * ${everyNth}) % ${tenants}], ${json}${values} FROM numbers(${rows})`
  )

setFlagsFromString("--expose-gc")
const collectGarbage: () => void = runInNewContext("gc")

/** What this process holds of objects and buffers, without what nobody holds any more. */
export const heldBytes = (): number => {
  collectGarbage()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
