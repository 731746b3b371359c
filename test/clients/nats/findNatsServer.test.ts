/** A machine that has neither pip nor Go: nats-server comes from its release, and only as its checksum says. */
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs"
import { createServer } from "node:http"
import { arch, platform } from "node:os"
import { delimiter, join } from "node:path"
import { findNatsServer, findNatsServerWith } from "../../../src/clients/nats/findNatsServer.ts"
import { releaseName } from "../../../src/clients/nats/natsServerRelease.ts"
import { temporaryFolder } from "../../support/temporaryFolder.ts"

const timeout = 330_000

const folder = Effect.acquireRelease(
  Effect.promise(() => temporaryFolder("nats-release")),
  (made) => Effect.promise(made.remove)
).pipe(Effect.map((made) => made.path))

/** Serves texts and files by their paths; everything else is not found. */
const serve = (files: Readonly<Record<string, string | Buffer>>) =>
  Effect.acquireRelease(
    Effect.callback<{ url: string; asked: Array<string>; close: () => void }>((resume) => {
      const asked: Array<string> = []
      const server = createServer((request, response) => {
        asked.push(request.url ?? "")
        const body = files[request.url ?? ""]
        response.writeHead(body === undefined ? 404 : 200).end(body)
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, asked, close: () => void server.close() }))
      })
    }),
    (server) => Effect.sync(server.close)
  )

/** A machine with `tar` and an empty cache; what was announced on it is kept. */
const machine = (path: string) => {
  const tools = join(path, "bin")
  mkdirSync(tools)
  for (const tool of ["tar", "gzip"]) {
    const found = (process.env["PATH"] ?? "").split(delimiter).find((place) => existsSync(join(place, tool)))
    symlinkSync(join(found ?? "", tool), join(tools, tool))
  }
  const announced: Array<string> = []
  const settings = ConfigProvider.layer(
    ConfigProvider.fromUnknown({ PATH: tools, XDG_CACHE_HOME: join(path, "cache") })
  )
  const find = (releasesUrl: string) =>
    findNatsServerWith({ releasesUrl, announce: (sentence) => Effect.sync(() => void announced.push(sentence)) }).pipe(
      Effect.provide(settings)
    )
  return { announced, cache: join(path, "cache/activity/nats-server-2.15.1"), find }
}

/** The archive as the release has it: a folder of its own name with the program and a text. */
const archiveOf = (program: string, path: string, name: string): Buffer => {
  const contents = join(path, "release", name)
  mkdirSync(contents, { recursive: true })
  cpSync(program, join(contents, "nats-server"))
  cpSync(new URL("../../../README.md", import.meta.url).pathname, join(contents, "README.md"))
  execFileSync("tar", ["-czf", join(path, "archive.tar.gz"), "-C", join(path, "release"), name])
  return readFileSync(join(path, "archive.tar.gz"))
}

describe("a machine with neither pip nor Go", () => {
  it.live(
    "takes the program from the release, announces it once, and finds it in the cache afterwards",
    () =>
      Effect.gen(function* () {
        const path = yield* folder
        const name = releaseName(platform(), arch()) ?? ""
        const archive = archiveOf(yield* findNatsServer, path, name)
        const checksum = createHash("sha256").update(archive).digest("hex")
        const server = yield* serve({
          "/v2.15.1/SHA256SUMS": `${"0".repeat(64)}  nats-server-v2.15.1-plan9-mips.tar.gz\n${checksum}  ${name}.tar.gz\n`,
          [`/v2.15.1/${name}.tar.gz`]: archive
        })
        const { announced, cache, find } = machine(path)
        const program = yield* find(server.url)
        assert.strictEqual(program, join(cache, "nats-server"))
        assert.match(execFileSync(program, ["--version"], { encoding: "utf8" }), /v2\.15\.1/)
        assert.deepStrictEqual(readdirSync(cache), ["nats-server"])
        assert.deepStrictEqual(announced, ["Fetching nats-server 2.15.1 …"])
        assert.strictEqual(yield* find(server.url), program)
        assert.lengthOf(announced, 1)
        assert.lengthOf(server.asked, 2)
      }).pipe(Effect.scoped),
    timeout
  )

  it.live(
    "refuses an archive that is not what the release's checksums say, and leaves nothing",
    () =>
      Effect.gen(function* () {
        const path = yield* folder
        const name = releaseName(platform(), arch()) ?? ""
        const server = yield* serve({
          "/v2.15.1/SHA256SUMS": `${"a".repeat(64)}  ${name}.tar.gz\n`,
          [`/v2.15.1/${name}.tar.gz`]: "something else"
        })
        const { cache, find } = machine(path)
        const error = yield* Effect.flip(find(server.url))
        assert.match(error.message, /its release: \S+\.tar\.gz has checksum [0-9a-f]{64}, SHA256SUMS says a{64}/)
        assert.deepStrictEqual(readdirSync(cache), [])
      }).pipe(Effect.scoped),
    timeout
  )

  it.live(
    "says what was tried, where the program is to be had, and where to name it",
    () =>
      Effect.gen(function* () {
        const path = yield* folder
        const server = yield* serve({})
        const { find } = machine(path)
        const { message } = yield* Effect.flip(find(server.url))
        for (const part of [
          "NATS_SERVER, which is not set; the PATH;",
          "pip: ",
          "go install: ",
          `its release: ${new URL(server.url).host} answers 404`,
          "https://github.com/nats-io/nats-server/releases/tag/v2.15.1",
          "name it in NATS_SERVER."
        ]) {
          assert.include(message, part)
        }
        const silent = yield* Effect.flip(find("http://127.0.0.1:1"))
        assert.match(silent.message, /its release: 127\.0\.0\.1:1 does not answer \(.+\)/)
      }).pipe(Effect.scoped),
    timeout
  )
})

describe("releaseName", () => {
  // As the release page lists them.
  it("names the archive of the systems and processors that we run on, and no other", () => {
    assert.strictEqual(releaseName("linux", "x64"), "nats-server-v2.15.1-linux-amd64")
    assert.strictEqual(releaseName("linux", "arm64"), "nats-server-v2.15.1-linux-arm64")
    assert.strictEqual(releaseName("darwin", "arm64"), "nats-server-v2.15.1-darwin-arm64")
    assert.strictEqual(releaseName("darwin", "x64"), "nats-server-v2.15.1-darwin-amd64")
    assert.isUndefined(releaseName("win32", "x64"))
    assert.isUndefined(releaseName("linux", "riscv64"))
  })
})
