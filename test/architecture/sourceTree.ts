/**
 * The repository as a map from path to text, so that a rule can be run over the real tree and over a planted one.
 */
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { projectFolder } from "../../.ci/projectFolder.ts"

/** Path relative to the project, with `/`, to the file's text. */
export type SourceTree = ReadonlyMap<string, string>

/** What a rule found: `path: what is wrong`. */
export type Fault = string

export const treeOf = (files: Readonly<Record<string, string>>): SourceTree => new Map(Object.entries(files))

/** Folders and files that we write by hand, data and generated files aside. */
const handwritten = ["src", "test", ".ci", "docs", "infra", "migrations", "README.md", "package.json"]

/** Everything written by hand that is text. */
export const readSourceTree = (): SourceTree => {
  const files = handwritten.flatMap((name) => {
    const path = join(projectFolder, name)
    if (statSync(path).isFile()) return [path]
    const entries = readdirSync(path, { recursive: true, withFileTypes: true })
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  })
  return new Map(
    files
      .filter((file) => /\.(ts|md|sql|ya?ml|json)$|\/run$/.test(file))
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
