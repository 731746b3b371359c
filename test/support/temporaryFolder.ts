/**
 * Folders that tests own.
 */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"

export interface TemporaryFolder extends AsyncDisposable {
  /** An absolute path to an empty folder that nothing else uses. */
  readonly path: string
  /** Removes the folder with all it holds. Again does nothing. */
  readonly remove: () => Promise<void>
}

/**
 * Make an empty folder under the system's temporary folder; `await using` removes it at the end of its block.
 *
 * @param purpose becomes part of the name, so that a folder left behind tells where it came from
 */
export const temporaryFolder = async (purpose = "test"): Promise<TemporaryFolder> => {
  const path = await mkdtemp(join(tmpdir(), `activity-${purpose}-`))
  // A server that is still closing its files may put one back while the folder is being removed: try a few times.
  const remove = () => rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  return { path, remove, [Symbol.asyncDispose]: remove }
}
