/**
 * Deno itself. `node_modules/.bin/deno` is a script around it that a signal would end alone, leaving Deno behind.
 */
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { projectFolder } from "../../.ci/projectFolder.ts"

/** What `activity up` may do under Deno. */
export const denoPermissions: ReadonlyArray<string> = [
  "--allow-net",
  "--allow-env",
  "--allow-read",
  "--allow-write",
  "--allow-run",
  "--allow-ffi",
  "--allow-sys"
]

/**
 * The absolute path of Deno's binary for this platform.
 *
 * @throws Error when npm did not install one
 */
export const denoBinary = (): string => {
  const folder = join(projectFolder, "node_modules/@deno")
  const candidates = existsSync(folder) ? readdirSync(folder).map((platform) => join(folder, platform, "deno")) : []
  const binary = candidates.find((candidate) => existsSync(candidate))
  if (binary === undefined) throw new Error("Deno is not installed: run npm ci on a platform that Deno supports")
  return binary
}
