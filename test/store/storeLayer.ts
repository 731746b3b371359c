/** A migrated database on the embedded engine, in a folder of its own, and activities to put into it. */
import { randomBytes } from "node:crypto"
import { Effect, Layer, Result } from "effect"
import { ClickHouse } from "../../src/clients/clickhouse/ClickHouse.ts"
import { layerFromUrl } from "../../src/clients/clickhouse/layerFromUrl.ts"
import { activityKey, activityName } from "../../src/domain/identity.ts"
import type { Mark } from "../../src/domain/streams.ts"
import type { Tenant } from "../../src/domain/Tenant.ts"
import { FactQueries } from "../../src/store/FactQueries.ts"
import { insertRows } from "../../src/store/insertRows.ts"
import { migrate } from "../../src/store/migrate.ts"
import { activityLine, type StoredLine } from "../../src/store/rows.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

/** An empty database: in a folder of its own, or, with CLICKHOUSE_URL, of its own on that server; gone afterwards. */
export const emptyLayer = Layer.unwrap(
  Effect.gen(function* () {
    const server = process.env["CLICKHOUSE_URL"]
    if (server === undefined || server.startsWith("embedded:")) {
      const folder = yield* Effect.acquireRelease(
        Effect.promise(() => temporaryFolder("store")),
        (made) => Effect.promise(made.remove)
      )
      return layerFromUrl(`embedded:${folder.path}`)
    }
    const url = new URL(server)
    url.pathname = `test_${randomBytes(8).toString("hex")}`
    const database = ClickHouse.use((clickhouse) =>
      Effect.acquireRelease(clickhouse.createDatabase(""), () =>
        clickhouse.command(`DROP DATABASE ${clickhouse.database}`).pipe(Effect.ignore)
      )
    )
    return Layer.effectDiscard(database).pipe(Layer.provideMerge(layerFromUrl(url.href)))
  })
)

export const storeLayer = FactQueries.layer.pipe(
  Layer.provideMerge(Layer.effectDiscard(migrate())),
  Layer.provideMerge(emptyLayer)
)

export interface TestActivity {
  readonly origin: string
  readonly sequence: number
  readonly tenant?: Tenant
  readonly cluster?: string
  readonly timestamp?: string
  readonly lastTimestamp?: string
  readonly summary?: string
  readonly actorUid?: string
  readonly namespace?: string
  readonly mark?: Mark
  readonly order?: bigint
  readonly resource?: { readonly namespace?: string; readonly [field: string]: unknown }
  readonly spec?: Readonly<Record<string, unknown>>
}

export const nameOf = (origin: string, cluster = "test"): string => activityName(activityKey(cluster, "audit", origin))

/** The row of an activity, as the processor would publish it. */
export const activityRow = (activity: TestActivity): StoredLine => {
  const { cluster = "test", order = 0n, mark = "added", tenant = { type: "Project", name: "one" } } = activity
  const key = activityKey(cluster, "audit", activity.origin)
  const resource = {
    apiGroup: "apps",
    kind: "Deployment",
    name: "web",
    namespace: activity.namespace ?? "",
    ...activity.resource
  }
  return Result.getOrThrow(
    activityLine({
      json: JSON.stringify({
        apiVersion: "activity.miloapis.com/v1alpha1",
        kind: "Activity",
        metadata: {
          name: activityName(key),
          ...(resource.namespace === "" ? {} : { namespace: resource.namespace }),
          uid: key,
          labels: {}
        },
        spec: {
          summary: activity.summary ?? `something about ${activity.origin}`,
          changeSource: "human",
          timestamp: activity.timestamp ?? "2026-11-21T10:00:00.000000Z",
          ...(activity.lastTimestamp === undefined ? {} : { lastTimestamp: activity.lastTimestamp }),
          cluster,
          actor: { type: "user", name: "alice", uid: activity.actorUid ?? "" },
          resource,
          tenant,
          outcome: "Success",
          origin: { type: "audit", id: activity.origin },
          policy: { name: "deployments", generation: 1, rule: "audit-0" },
          ...activity.spec
        }
      }),
      mark,
      order,
      sequence: activity.sequence
    })
  )
}

export const store = (activities: ReadonlyArray<TestActivity>) =>
  insertRows({ table: "activities", rows: activities.map(activityRow), onPoison: (_, refused) => Effect.die(refused) })

export const emptyTables = ClickHouse.use((clickhouse) =>
  Effect.forEach(["activities", "audit_logs", "k8s_events"], (table) => clickhouse.command(`TRUNCATE TABLE ${table}`))
)
