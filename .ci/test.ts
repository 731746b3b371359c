/**
 * `npm test`: runs the tests and ends with one plain line, `N passed, N failed, N skipped`.
 *
 *     npm test                          every tier
 *     npm test -- --tier 1              what needs nothing beyond npm ci
 *     npm test -- test/process          files whose path contains the text
 *     npm test -- --long                the long runs, which `npm test` leaves out (npm run test:long)
 *
 * Exit code 0 when nothing failed, 1 when something did, 2 when the command line cannot be understood.
 */
import { parseArgs } from "node:util"
import type { TestModule } from "vitest/node"
import { startVitest } from "vitest/node"
import { projectFolder } from "./projectFolder.ts"
import { prepareServers } from "../test/support/prepareServers.ts"
import { missingTools } from "./requirements.ts"
import type { Counts } from "./summary.ts"
import { exitCodeOf, summaryLine } from "./summary.ts"
import { tierFrom, testFiles } from "./tiers.ts"

const main = async (): Promise<Counts> => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { tier: { type: "string" }, long: { type: "boolean", default: false } }
  })
  const tier = tierFrom(values.tier)
  const inCi = process.env["CI"] === "true"
  const tools = tier === 1 ? [] : await missingTools()
  const servers = await prepareServers(tools.length === 0 ? tier : 1)
  const missing = [...servers, ...tools]
  const runsTier2 = missing.every((tool) => tool.tier === 1) && tier === 2
  const counts = await runVitest(testFiles({ tier: runsTier2 ? 2 : 1, long: values.long }), positionals)

  for (const tool of missing) {
    console.log(`${inCi ? "failed" : "skipped"}: tier ${tool.tier} needs ${tool.name}, which is missing: ${tool.how}`)
  }
  if (missing.length === 0) return counts
  return inCi ? { ...counts, failed: counts.failed + missing.length } : { ...counts, skipped: counts.skipped + 1 }
}

/** Workers: two, because most files start servers of their own. A test gets three minutes, a hook five: machines are slow. */
const runVitest = async (files: ReturnType<typeof testFiles>, filters: ReadonlyArray<string>): Promise<Counts> => {
  const vitest = await startVitest("test", [...filters], {
    config: false,
    root: projectFolder,
    watch: false,
    include: [...files.include],
    exclude: [...files.exclude],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: files.testTimeoutMillis,
    hookTimeout: 300_000,
    teardownTimeout: 30_000,
    retry: 0,
    passWithNoTests: false,
    reporters: ["default"]
  })
  await vitest.close()
  const counts = countsOf(vitest.state.getTestModules())
  const unhandled = vitest.state.getUnhandledErrors().length
  const nothingRan = counts.passed + counts.failed + counts.skipped === 0 ? 1 : 0
  return { ...counts, failed: counts.failed + unhandled + nothingRan }
}

/** A file that could not be loaded, or a failed hook of a file, counts as one failure. */
const countsOf = (modules: ReadonlyArray<TestModule>): Counts => {
  const counts = { passed: 0, failed: 0, skipped: 0 }
  for (const module of modules) {
    counts.failed += module.errors().length
    for (const suite of module.children.allSuites()) counts.failed += suite.errors().length
    // A test that was never reached, because its file's process died, has not passed.
    for (const test of module.children.allTests()) {
      const { state } = test.result()
      counts[state === "pending" ? "failed" : state] += 1
    }
  }
  return counts
}

const counts = await main().catch((cause: unknown) => {
  console.error(cause instanceof Error ? cause.message : cause)
  process.exit(2)
})
console.log(summaryLine(counts))
// Whatever a test left open must not keep a finished run from ending.
process.exit(exitCodeOf(counts))
