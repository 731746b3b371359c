/**
 * The last resort, for machines with neither Python nor Go: the archive of the official release, over HTTPS.
 *
 * The archive must have the checksum that the release's own SHA256SUMS gives it. That finds a download that was damaged,
 * not a release that was replaced: no checksum is pinned here, because none could be looked up when this was written.
 */
import { createHash } from "node:crypto"
import { writeFileSync } from "node:fs"
import { arch, platform } from "node:os"
import { join } from "node:path"
import { type FetchOptions, inTemporaryFolder, install, natsServerVersion, run } from "./fetchNatsServer.ts"

const releasesUrlDefault = "https://github.com/nats-io/nats-server/releases/download"

/** For people. */
export const releasePage = `https://github.com/nats-io/nats-server/releases/tag/v${natsServerVersion}`

/** A list of two dozen lines. */
const checksumsMillisMax = 30_000
/** 7 MB; a line that needs longer than this is better left to a person. */
const archiveMillisMax = 180_000

const systems: Readonly<Record<string, string>> = { linux: "linux", darwin: "darwin", freebsd: "freebsd" }
const processors: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" }

/** @returns the name of the archive for this machine without `.tar.gz`: the folder in it has the same name */
export const releaseName = (system: string, processor: string): string | undefined => {
  const [named, built] = [systems[system], processors[processor]]
  return named === undefined || built === undefined ? undefined : `nats-server-v${natsServerVersion}-${named}-${built}`
}

/** Rejects when there is no archive for this machine, or it is not what SHA256SUMS says. */
export const fetchRelease = (options: FetchOptions & { readonly releasesUrl?: string | undefined }): Promise<void> =>
  inTemporaryFolder(options.cache, async (folder) => {
    const name = releaseName(platform(), arch())
    if (name === undefined) throw new Error(`there is none for ${platform()} on ${arch()}`)
    const release = `${options.releasesUrl ?? releasesUrlDefault}/v${natsServerVersion}`
    const checksums = new TextDecoder().decode(await download(`${release}/SHA256SUMS`, checksumsMillisMax))
    const expected = checksumIn(checksums, `${name}.tar.gz`)
    if (expected === undefined) throw new Error(`its SHA256SUMS does not name ${name}.tar.gz`)
    const archive = await download(`${release}/${name}.tar.gz`, archiveMillisMax)
    const found = createHash("sha256").update(archive).digest("hex")
    if (found !== expected) {
      throw new Error(`${name}.tar.gz has checksum ${found}, SHA256SUMS says ${expected}`)
    }
    const file = join(folder, "archive.tar.gz")
    writeFileSync(file, archive)
    // Only the program: nothing else in an archive has a reason to be written here.
    await run("tar", ["-xzf", file, "-C", folder, `${name}/nats-server`], { PATH: options.path })
    install(join(folder, name, "nats-server"), options.cache)
  })

/** Lines are `<64 hex digits>  <name>`, with a `*` before the name where the tool read it as binary. */
const checksumIn = (checksums: string, name: string): string | undefined =>
  checksums
    .split("\n")
    .map((line) => /^([0-9a-fA-F]{64})\s+\*?(\S+)\s*$/.exec(line))
    .find((match) => match?.[2] === name)?.[1]
    ?.toLowerCase()

const download = async (url: string, millisMax: number): Promise<Uint8Array> => {
  const host = new URL(url).host
  const answer = await fetch(url, { signal: AbortSignal.timeout(millisMax) }).catch((cause: unknown) => {
    throw new Error(`${host} does not answer (${reasonOf(cause)})`, { cause })
  })
  // GitHub sends on to where its files are: that must not lead out of HTTPS.
  if (url.startsWith("https:") && !answer.url.startsWith("https:")) throw new Error(`${host} leads to ${answer.url}`)
  if (!answer.ok) throw new Error(`${host} answers ${answer.status} for ${url}`)
  return new Uint8Array(await answer.arrayBuffer())
}

/** `fetch` says only that it failed; why is in its cause. */
const reasonOf = (cause: unknown): string => {
  const inner = cause instanceof Error && cause.cause !== undefined ? cause.cause : cause
  if (typeof inner === "object" && inner !== null && "code" in inner && typeof inner.code === "string")
    return inner.code
  return inner instanceof Error ? inner.message : String(inner)
}
