import { existsSync, mkdirSync } from "node:fs"
import { dirname } from "node:path"

/**
 * Makes a folder with all that it lies in; throws what the file system says. What is there is left alone.
 *
 * Not `mkdir` with `recursive`: where a file system answers that a new name does not exist, as /proc does, Node tries it
 * for ever, and not even a signal ends it.
 */
export const makeFolder = (path: string, mode?: number): void => {
  if (existsSync(path)) return
  const parent = dirname(path)
  if (parent !== path) makeFolder(parent, mode)
  try {
    mkdirSync(path, mode)
  } catch (cause) {
    // Another process may have made it meanwhile.
    if (!existsSync(path)) throw cause
  }
}
