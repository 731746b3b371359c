import { dirname } from "node:path"
import { fileURLToPath } from "node:url"

/** Where package.json is: an absolute path without a slash at its end. */
export const projectFolder = dirname(dirname(fileURLToPath(import.meta.url)))
