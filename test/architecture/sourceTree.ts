/**
 * The repository as a map from path to text, so that a rule can be run over the real tree and over a planted one.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { projectFolder } from "../../.ci/projectFolder.ts"

/** Path relative to the project, with `/`, to the file's text. */
export type SourceTree = ReadonlyMap<string, string>

/** What a rule found: `path: what is wrong`. */
export type Fault = string

export const treeOf = (files: Readonly<Record<string, string>>): SourceTree => new Map(Object.entries(files))

/** Our own code and our decisions. */
export const readSourceTree = (): SourceTree => {
  const files = ["src", "test", ".ci", "docs"].flatMap((folder) => {
    const names = readdirSync(join(projectFolder, folder), { recursive: true, withFileTypes: true })
    return names.filter((name) => name.isFile()).map((name) => join(name.parentPath, name.name))
  })
  return new Map(
    files
      .filter((file) => /\.(ts|md)$/.test(file))
      .map((file) => [file.slice(projectFolder.length + 1), readFileSync(file, "utf8")])
  )
}

/** The TypeScript files under `folder`. */
export const typescriptUnder = (tree: SourceTree, ...folders: ReadonlyArray<string>) =>
  [...tree]
    .filter(([path]) => path.endsWith(".ts") && folders.some((folder) => path.startsWith(`${folder}/`)))
    .map(([path, text]) => ({ path, text }))

/** Every module that a text imports or re-exports, whether for values or for types. */
export const importsOf = (text: string): ReadonlyArray<string> => {
  const statements = text.matchAll(/^\s*(?:import|export)\s(?:[^"'`;]*?\sfrom\s+)?["']([^"']+)["']/gm)
  const calls = text.matchAll(/\bimport\(\s*["']([^"']+)["']/g)
  return [...statements, ...calls].map((match) => match[1]!)
}
