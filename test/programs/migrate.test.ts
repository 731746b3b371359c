/** `activity migrate` at a terminal: what it prints about retention, and about a ClickHouse that is not there. */
import { assert, describe, it } from "@effect/vitest"
import { createServer } from "node:net"
import { startProgram } from "../support/childProcess.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

const migrate = async (parameters: ReadonlyArray<string>) => {
  const program = startProgram(["migrate", ...parameters])
  const { code } = await program.exited
  return { code, stdout: program.stdout(), all: program.log() }
}

/** A port that nobody listens on. */
const closedPort = () =>
  new Promise<number>((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address()
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0))
    })
  })

describe("activity migrate", () => {
  it(
    "changes the retention that it is given, says so, and keeps it without a setting",
    { timeout: 120_000 },
    async () => {
      await using folder = await temporaryFolder("migrate")
      const store = ["--clickhouse-url", `embedded:${folder.path}/clickhouse`]
      assert.strictEqual((await migrate(store)).stdout, "Applied 0001_initial.sql.\n")
      assert.strictEqual(
        (await migrate([...store, "--activity-retention", "90d"])).stdout,
        "The tables are up to date.\nRetention of activities: 60d → 90d\nRetention of Events: 60d → 90d\n"
      )
      assert.strictEqual((await migrate(store)).stdout, "The tables are up to date.\n")
      assert.strictEqual(
        // Part of a day is kept whole.
        (await migrate([...store, "--audit-retention", "25h", "--activity-retention", "60d"])).stdout,
        "The tables are up to date.\nRetention of audit records: 365d → 2d\n" +
          "Retention of activities: 90d → 60d\nRetention of Events: 90d → 60d\n"
      )
    }
  )

  it("says what an empty retention means", { timeout: 60_000 }, async () => {
    const { stdout } = await migrate(["--help"])
    assert.match(stdout, /--audit-retention .*empty keeps what is there, new tables: 365d/)
    assert.match(stdout, /--activity-retention .*empty keeps what is there, new tables: 60d/)
  })

  it(
    "a ClickHouse that does not answer is one sentence without the password, exit code 2",
    { timeout: 60_000 },
    async () => {
      const host = `127.0.0.1:${await closedPort()}`
      const { all, code } = await migrate(["--clickhouse-url", `http://joe:s3cret@${host}/activity`])
      assert.strictEqual(
        all.trim(),
        `ClickHouse at ${host} does not answer (ECONNREFUSED): start it, or give --clickhouse-url.`
      )
      assert.strictEqual(code, 2)
    }
  )
})
