/** A writer whose tables are not there: what it says, and that it goes on when they are. */
import { assert, describe, it } from "vitest"
import { startProgram } from "../../support/childProcess.ts"
import { eventually } from "../../support/eventually.ts"
import { freePort } from "../../support/freePort.ts"
import { madeRecords, recordText } from "../../support/madeRecords.ts"
import { startSystem } from "../../support/system.ts"

describe("a writer without tables", () => {
  it(
    "is not ready while records wait, names table, refusal and mend, and stores them after it",
    { timeout: 240_000 },
    async () => {
      await using system = await startSystem()
      const store = ["--clickhouse-url", `${system.bridge.url}/unmade`]
      const port = await freePort()
      const writer = await system.start("writer", [...store, "--ops-listen", `127.0.0.1:${port}`])
      const collector = await system.start("collector")
      const [record] = madeRecords("waits", 1)
      const body = `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[${recordText(record!)}]}`
      assert.strictEqual((await collector.request("", { method: "POST", body })).status, 200)

      const [line] = await writer.process.waitForLine(/.*AUDIT_EVENTS to audit_logs: waiting".*/)
      assert.match(line, /the table audit_logs takes no rows: ClickHouse answered (?:60|81): .*unmade/)
      assert.match(line, /activity migrate brings the tables to this version/)
      const readyz = async () => {
        const answer = await fetch(`http://127.0.0.1:${port}/readyz`)
        return { status: answer.status, text: await answer.text() }
      }
      await eventually("it is not ready", async () => (await readyz()).status === 503)
      assert.match(
        (await readyz()).text,
        /AUDIT_EVENTS to audit_logs .*the table audit_logs takes no rows.*activity migrate/
      )

      assert.strictEqual((await startProgram(["migrate", ...store]).exited).code, 0)
      await eventually("the record is stored", async () => {
        const rows = await system.query<{ id: string }>("SELECT audit_id AS id FROM unmade.audit_logs")
        return rows.some(({ id }) => id === record!.auditID)
      })
      await eventually("it is ready", async () => (await readyz()).status === 200)
    }
  )
})
