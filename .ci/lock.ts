/**
 * `npm run lock`: names in package-lock.json every optional package that the registry at hand did not show.
 *
 * npm leaves out an optional package for another platform when its registry lacks it, and `npm ci` of npm 11 then
 * refuses the lock. A version, what it runs on and `optional` are enough for npm to accept and to skip it; on its
 * platform npm fetches it without an integrity to compare.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { projectFolder } from "./projectFolder.ts"

/** What we read and write of one package in a lock. */
interface LockedPackage {
  version?: string
  resolved?: string
  integrity?: string
  dev?: boolean
  optional?: boolean
  os?: ReadonlyArray<string>
  cpu?: ReadonlyArray<string>
  libc?: ReadonlyArray<string>
  optionalDependencies?: Readonly<Record<string, string>>
}

/** package-lock.json, lockfileVersion 3: packages by their folder, the project itself under "". */
export interface Lock {
  packages: Record<string, LockedPackage>
}

export interface MissingPackage {
  /** Folder of the package that names it, "" for the project. */
  readonly wantedBy: string
  readonly name: string
  readonly version: string
}

/** The names that operating systems have in package names, and in `process.platform`. */
const operatingSystems: Readonly<Record<string, string>> = {
  aix: "aix",
  android: "android",
  darwin: "darwin",
  freebsd: "freebsd",
  linux: "linux",
  netbsd: "netbsd",
  openbsd: "openbsd",
  openharmony: "openharmony",
  sunos: "sunos",
  win32: "win32"
}

/** The names that processors have in package names, and in `process.arch`. */
const processors: Readonly<Record<string, string>> = {
  arm: "arm",
  arm64: "arm64",
  ia32: "ia32",
  loong64: "loong64",
  ppc64: "ppc64",
  riscv64: "riscv64",
  s390x: "s390x",
  x64: "x64"
}

/** The optional dependencies that no entry of the lock answers. */
export const missingPackages = (lock: Lock): ReadonlyArray<MissingPackage> =>
  Object.entries(lock.packages).flatMap(([folder, entry]) =>
    Object.entries(entry.optionalDependencies ?? {})
      .filter(([name]) => !candidateFolders(folder, name).some((candidate) => candidate in lock.packages))
      .map(([name, version]) => ({ wantedBy: folder, name, version }))
  )

/** The lock with an entry for each of its missing packages, packages in npm's own order. */
export const completedLock = (lock: Lock): Lock => {
  const packages = { ...lock.packages }
  for (const missing of missingPackages(lock)) {
    const version = exactVersion(missing)
    const dev = lock.packages[missing.wantedBy]?.dev
    const { cpu, libc, os } = platformOf(missing.name)
    packages[`node_modules/${missing.name}`] = {
      version,
      ...(cpu !== undefined && { cpu }),
      ...(dev === true && { dev }),
      ...(libc !== undefined && { libc }),
      optional: true,
      os
    }
  }
  const sorted = Object.entries(packages).toSorted(([left], [right]) => left.localeCompare(right, "en"))
  return { ...lock, packages: Object.fromEntries(sorted) }
}

/** Everything that keeps the lock from being good on another machine, as sentences. */
export const lockFaults = (lock: Lock): ReadonlyArray<string> => [
  ...missingPackages(lock).map(
    ({ wantedBy, name }) => `${name}, optional for ${wantedBy === "" ? "the project" : wantedBy}, is not in the lock`
  ),
  ...Object.entries(lock.packages)
    .filter(([, entry]) => entry.resolved !== undefined)
    .map(([folder]) => `${folder} names the registry it came from`),
  ...Object.entries(lock.packages)
    .filter(([folder, entry]) => folder !== "" && entry.integrity === undefined && entry.optional !== true)
    .map(([folder]) => `${folder} has no integrity`)
]

/** The text that npm itself would write. */
export const lockText = (lock: Lock): string => `${JSON.stringify(lock, undefined, 2)}\n`

const lockPath = join(projectFolder, "package-lock.json")

export const readLock = (path: string = lockPath): Lock => JSON.parse(readFileSync(path, "utf8"))

/** Where node would look for `name` from a package in `folder`, nearest first. */
const candidateFolders = (folder: string, name: string): ReadonlyArray<string> => {
  const parts = folder === "" ? [] : folder.split(/(?:^|\/)node_modules\//).filter((part) => part !== "")
  return Array.from({ length: parts.length + 1 }, (_, up) =>
    [...parts.slice(0, parts.length - up), name].map((part) => `node_modules/${part}`).join("/")
  )
}

const exactVersion = ({ wantedBy, name, version }: MissingPackage): string => {
  if (/^\d+\.\d+\.\d+[\w.+-]*$/.test(version)) return version
  throw new Error(`${name} ${version}, wanted by ${wantedBy}, is a range: which version to lock cannot be told`)
}

/** What a platform package's name says about where it runs, e.g. `@oxlint/binding-linux-arm64-musl`. */
const platformOf = (name: string) => {
  const words = name.split(/[-/]/)
  const os = words.map((word) => operatingSystems[word]).find((found) => found !== undefined)
  const cpu = words.map((word) => processors[word]).find((found) => found !== undefined)
  if (os === undefined) throw new Error(`the name ${name} does not say where it runs: lock it by hand`)
  const libc = words.some((word) => word.startsWith("musl"))
    ? "musl"
    : words.some((word) => /^(gnu|glibc)/.test(word))
      ? "glibc"
      : undefined
  return {
    cpu: cpu === undefined ? undefined : [cpu],
    libc: libc === undefined || os !== "linux" ? undefined : [libc],
    os: [os]
  }
}

if (import.meta.main) {
  const lock = readLock()
  const missing = missingPackages(lock)
  writeFileSync(lockPath, lockText(completedLock(lock)))
  console.log(`${missing.length} optional packages named in package-lock.json`)
}
