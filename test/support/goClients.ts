/** Builds the Go program of `test/system/goclients`, once for each state of its sources. */
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { rename } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { cacheFolder } from "./goPrograms.ts"

const folder = join(projectFolder, "test/system/goclients")

/** A cold module cache and one core: 90 seconds on two. */
const buildMillisMax = 15 * 60_000

/**
 * The program's path.
 *
 * @throws Error when Go is missing or does not build it
 */
export const findGoClients = async (
  environment: NodeJS.ProcessEnv = process.env,
  announce: (sentence: string) => void = () => undefined
): Promise<string> => {
  const hash = createHash("sha256")
  for (const name of readdirSync(folder).toSorted()) hash.update(readFileSync(join(folder, name)))
  const built = join(cacheFolder(environment), `goclients-${hash.digest("hex").slice(0, 16)}`)
  if (existsSync(built)) return built
  announce("Building the Go clients of the tests, once for this machine …")
  // Go makes the cache folder, and the name is taken only when the program is whole.
  const unfinished = `${built}.${process.pid}`
  await promisify(execFile)("go", ["build", "-mod=readonly", "-trimpath", "-ldflags", "-s -w", "-o", unfinished, "."], {
    cwd: folder,
    timeout: buildMillisMax,
    env: { ...environment, CGO_ENABLED: "0" }
  }).catch((cause: unknown) => {
    throw new Error(`the Go clients were not built: install Go 1.25. ${String(cause)}`, { cause })
  })
  await rename(unfinished, built)
  return built
}
