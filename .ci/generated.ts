/**
 * Files that are printed and never edited. `npm run generate` writes them; `npm run check` says which of them differ
 * from what would be printed now. CRDs, OpenAPI and the settings reference have their place in this list.
 */
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { stringify } from "yaml"
import { recordDefinitions } from "../src/contracts/recordDefinitions.ts"
import { readFigures } from "../test/bench/figures.ts"
import { performancePage } from "../test/bench/performancePage.ts"
import { apiReference } from "./apiReference.ts"
import { completedLock, lockText, readLock } from "./lock.ts"
import { projectFolder } from "./projectFolder.ts"

interface GeneratedFile {
  /** Relative to the project. */
  readonly path: string
  readonly print: () => string | Promise<string>
}

const generatedFiles: ReadonlyArray<GeneratedFile> = [
  { path: "package-lock.json", print: () => lockText(completedLock(readLock())) },
  ...recordDefinitions.map((definition) => ({
    path: `infra/crds/${definition.spec.group}_${definition.spec.names.plural}.yaml`,
    print: () =>
      `# Printed by npm run generate.\n${stringify(definition, { lineWidth: 0, aliasDuplicateObjects: false })}`
  })),
  { path: "docs/api.md", print: apiReference },
  { path: "docs/performance.md", print: () => performancePage(readFigures()) }
]

/** The paths of `files` whose content is not what would be printed now; a missing file is one of them. */
export const changedFiles = async (
  files: ReadonlyArray<GeneratedFile> = generatedFiles,
  folder: string = projectFolder
): Promise<ReadonlyArray<string>> => {
  const changed = await Promise.all(
    files.map(async ({ path, print }) => {
      const present = await readFile(join(folder, path), "utf8").catch(() => undefined)
      return present === (await print()) ? [] : [path]
    })
  )
  return changed.flat()
}

if (import.meta.main) {
  for (const { path, print } of generatedFiles) await writeFile(join(projectFolder, path), await print())
}
