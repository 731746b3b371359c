/** `activity migrate` at a terminal: what it prints about retention, and about a ClickHouse that is not there. */
import { assert, describe, it } from "@effect/vitest"
import { createServer as createHttpServer } from "node:http"
import { startProgram } from "../support/childProcess.ts"
import { freePort } from "../support/freePort.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

const migrate = async (parameters: ReadonlyArray<string>) => {
  const program = startProgram(["migrate", ...parameters])
  const { code } = await program.exited
  return { code, stdout: program.stdout(), all: program.log() }
}

describe("activity migrate", () => {
  it(
    "changes the retention that it is given, says so, and keeps it without a setting",
    { timeout: 120_000 },
    async () => {
      await using folder = await temporaryFolder("migrate")
      const store = ["--clickhouse-url", `embedded:${folder.path}/clickhouse`]
      assert.strictEqual(
        (await migrate(store)).stdout,
        "Applied 0001_initial.sql, 0002_cheaper_reads.sql, 0003_sequence_decodes_fast.sql.\n"
      )
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

  it("refuses a retention that would end behind the engine's times: it would empty the table", async () => {
    const { all, code } = await migrate(["--audit-retention", "36500d"])
    assert.match(all, /audit-retention.*36500d.*at most 18250d/)
    assert.strictEqual(code, 2)
  })

  it("says what an empty retention means", async () => {
    // Sentences go on in the next line.
    const help = (await migrate(["--help"])).stdout.replaceAll(/\s+/g, " ")
    assert.match(help, /--audit-retention .*empty keeps what is there, new tables: 365d/)
    assert.match(help, /--activity-retention .*empty keeps what is there, new tables: 60d/)
  })

  it("a ClickHouse that does not answer is one sentence without the password, exit code 2", async () => {
    const host = `127.0.0.1:${await freePort()}`
    const { all, code } = await migrate(["--clickhouse-url", `http://joe:s3cret@${host}/activity`])
    assert.strictEqual(
      all.trim(),
      `ClickHouse at ${host} does not answer (ECONNREFUSED): start it, or give --clickhouse-url.`
    )
    assert.strictEqual(code, 2)
  })

  it("a ClickHouse that refuses is named, with its words and the setting", async () => {
    // As a server of version 25 answers a wrong password.
    const words = "default: Authentication failed: password is incorrect, or there is no user with such name. "
    const server = createHttpServer((request, response) => {
      request.resume()
      response.writeHead(403, { "x-clickhouse-exception-code": "516" })
      response.end(`Code: 516. DB::Exception: ${words}(AUTHENTICATION_FAILED) (version 25.8.1.1 (official build))\n`)
    })
    const host = await new Promise<string>((resolve) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resolve(`127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`)
      })
    })
    try {
      const { all, code } = await migrate(["--clickhouse-url", `http://joe:s3cret@${host}/activity`])
      assert.match(all, new RegExp(`ClickHouse at ${host} answered 516: see the user and password of --clickhouse-url`))
      assert.match(all, /no user with such name\.$/m)
      assert.notMatch(all, /s3cret|\.\s*\.$/m)
      assert.strictEqual(code, 2)
    } finally {
      server.close()
    }
  })

  it("a kubeconfig that would be of no use is refused", async () => {
    const { all, code } = await migrate(["--kubeconfig", "/nowhere"])
    assert.match(all, /^--kubeconfig is of no use without --policy-store kubernetes/)
    assert.strictEqual(code, 2)
  })

  it("a kubeconfig that is not there is named", async () => {
    const { all, code } = await migrate(["--policy-store", "kubernetes", "--kubeconfig", "/nowhere"])
    assert.strictEqual(all.trim(), "--kubeconfig /nowhere: no such file.")
    assert.strictEqual(code, 2)
  })
})
