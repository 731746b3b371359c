/**
 * `npm run build`: everything that a machine needs to run `node activity.js <program>`, in `dist`.
 *
 * All code is bundled but what is built for one platform; each program stays a chunk that is loaded when it runs. Files
 * that programs read at run time lie in `dist` where they lie in the project.
 */
import { cp, mkdir, rm, writeFile } from "node:fs/promises"
import { join, relative } from "node:path"
import { parseArgs } from "node:util"
import { build, type Plugin } from "rolldown"
import manifest from "../package.json" with { type: "json" }
import { projectFolder } from "./projectFolder.ts"

/** Files and folders that programs read at run time, relative to the project. */
export const filesRead: ReadonlyArray<string> = ["migrations", "infra/policies", "src/programs/up/demo"]

/** Packages that are not bundled. chdb is a native library, and optional: only `up` and `embedded:` URLs load it. */
export const externalPackages = ["chdb"] as const

/**
 * Our modules find files by their own place. Chunks lie in `dist` itself, so a module's place, relative to `dist`, is
 * what it was relative to the project.
 */
const ownPlaces: Plugin = {
  name: "own-places",
  transform(code, id) {
    if (!id.startsWith(join(projectFolder, "src/")) || !code.includes("import.meta.url")) return null
    const place = JSON.stringify(`./${relative(projectFolder, id)}`)
    return { code: code.replaceAll("import.meta.url", `new URL(${place}, import.meta.url).href`) }
  }
}

/** Makes `folder` anew. */
export const buildInto = async (folder: string): Promise<void> => {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  await build({
    input: { activity: join(projectFolder, "src/main.ts") },
    cwd: projectFolder,
    platform: "node",
    external: [...externalPackages],
    plugins: [ownPlaces],
    logLevel: "warn",
    output: {
      dir: folder,
      format: "esm",
      entryFileNames: "[name].js",
      chunkFileNames: "[name]-[hash].js",
      comments: false,
      minify: { compress: true, mangle: false, codegen: { removeWhitespace: false } }
    }
  })
  for (const path of filesRead) await cp(join(projectFolder, path), join(folder, path), { recursive: true })
  const { name, version, description, engines, optionalDependencies } = manifest
  const externals = Object.fromEntries(externalPackages.map((external) => [external, optionalDependencies[external]]))
  const bundled = {
    name,
    version,
    private: true,
    description,
    type: "module",
    engines,
    optionalDependencies: externals
  }
  await writeFile(join(folder, "package.json"), `${JSON.stringify(bundled, undefined, 2)}\n`)
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { into: { type: "string", default: join(projectFolder, "dist") } } })
  await buildInto(values.into)
}
