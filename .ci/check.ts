/**
 * `npm run check`: everything that can be known without starting a server. One line per step; what a failed step
 * printed follows it. Exit code 1 when a step failed.
 */
import { execFile } from "node:child_process"
import { join } from "node:path"
import { changedFiles } from "./generated.ts"
import { projectFolder } from "./projectFolder.ts"

interface Step {
  readonly name: string
  /** What is wrong, as text to print; empty when nothing is. */
  readonly faults: () => Promise<string>
}

/** Runs a script of package.json's own tools; everything it prints is a fault, when it ends with another code than 0. */
const tool = (name: string, ...parameters: ReadonlyArray<string>): (() => Promise<string>) => {
  return () =>
    new Promise((resolve) => {
      const file = join(projectFolder, "node_modules/.bin", name)
      execFile(file, [...parameters], { cwd: projectFolder, maxBuffer: 64 * 1024 * 1024 }, (failure, stdout, stderr) =>
        resolve(failure === null ? "" : `${stdout}${stderr}` || failure.message)
      )
    })
}

const steps: ReadonlyArray<Step> = [
  { name: "format (npm run format mends it)", faults: tool("oxfmt", "--list-different", ".") },
  { name: "lint", faults: tool("oxlint", "--type-aware", "--deny-warnings", "src", "test", ".ci") },
  { name: "types", faults: tool("tsc", "--project", ".") },
  { name: "generated files (npm run generate mends them)", faults: async () => (await changedFiles()).join("\n") },
  { name: "architecture", faults: tool("vitest", "run", "--pool=forks", "test/architecture") }
]

let failed = 0
for (const { name, faults } of steps) {
  const found = await faults()
  if (found !== "") failed += 1
  console.log(found === "" ? `ok      ${name}` : `FAILED  ${name}\n${found.trimEnd()}`)
}
process.exit(failed === 0 ? 0 : 1)
