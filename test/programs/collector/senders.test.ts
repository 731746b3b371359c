import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { beforeAll } from "vitest"
import { followSenders, readSenders, type SenderFiles, type Senders } from "../../../src/programs/collector/senders.ts"
import type { Listener } from "../../../src/runtime/Listener.ts"
import { makeAuthority } from "../../support/certificates.ts"
import { eventually } from "../../support/eventually.ts"
import { temporaryFolder } from "../../support/temporaryFolder.ts"

let [authority, renewed] = ["", ""]
beforeAll(async () => {
  authority = (await makeAuthority("one")).certificate
  renewed = (await makeAuthority("two")).certificate
})

/** Files with these texts; "" for one that is not given. */
const withFiles = <A, E>(
  texts: { readonly tokens: string; readonly authorities: string },
  use: (files: SenderFiles) => Effect.Effect<A, E, Scope.Scope>
) =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.promise(() => temporaryFolder("senders")),
      (made) => Effect.promise(() => made.remove())
    )
    const at = (name: string, text: string): string => {
      if (text === "") return ""
      writeFileSync(join(folder.path, name), text)
      return join(folder.path, name)
    }
    return yield* use({ tokenFile: at("senders.yaml", texts.tokens), auditClientCa: at("ca.crt", texts.authorities) })
  }).pipe(Effect.scoped)

const names = "- { commonName: west, cluster: west }\n"

describe("the senders' files", () => {
  const wrong: ReadonlyArray<{ what: string; tokens: string; authorities: () => string; says: RegExp }> = [
    {
      what: "authorities without senders",
      tokens: "",
      authorities: () => authority,
      says: /--audit-client-ca needs --audit-tokens/
    },
    {
      what: "names without authorities",
      tokens: names,
      authorities: () => "",
      says: /commonName west: give --audit-client-ca/
    },
    {
      what: "authorities that are none",
      tokens: names,
      authorities: () => names,
      says: /ca\.crt holds no certificate/
    },
    {
      what: "a sender with two ways",
      tokens: "- { commonName: a, token: b }",
      authorities: () => "",
      says: /must be a list of/
    },
    { what: "a sender with none", tokens: "- { cluster: a }", authorities: () => "", says: /must be a list of/ },
    {
      what: "a user of the API",
      tokens: "- { token: a, user: { username: b } }",
      authorities: () => "",
      says: /must be a list of/
    },
    { what: "no list", tokens: "token: a", authorities: () => "", says: /must be a list of/ }
  ]
  for (const { authorities, says, tokens, what } of wrong) {
    it.live(`${what} are refused with a sentence`, () =>
      withFiles({ tokens, authorities: authorities() }, (files) =>
        Effect.gen(function* () {
          const { sentence } = yield* Effect.flip(readSenders(files))
          assert.match(sentence, says)
        })
      )
    )
  }

  it.live("that are no YAML are not quoted: their tokens would stand in a log", () =>
    withFiles({ tokens: `- { token: "c4nary\n`, authorities: "" }, (files) =>
      Effect.gen(function* () {
        const { sentence } = yield* Effect.flip(readSenders(files))
        assert.match(sentence, /senders\.yaml cannot be read: it is no YAML/)
        assert.notInclude(sentence, "c4nary")
      })
    )
  )

  it.live("are read again when they change, and what is broken leaves what was there", () =>
    withFiles({ tokens: names, authorities: authority }, (files) =>
      Effect.gen(function* () {
        const first = yield* readSenders(files)
        let known: Senders = first
        const authorities: Array<ReadonlyArray<string>> = []
        const listener: Listener = {
          address: { host: "127.0.0.1", port: 0 },
          url: "",
          setTls: () => undefined,
          setClientAuthorities: (given) => void authorities.push(given)
        }
        const use = (senders: Senders): void => {
          known = senders
        }
        yield* followSenders(files, first, listener, use, "5 millis").pipe(Effect.forkScoped)
        const becomes = (what: string, holds: () => boolean) => Effect.promise(() => eventually(what, holds))
        writeFileSync(files.tokenFile, "- { commonName: east, cluster: east }\n- { token: t }\n")
        yield* becomes("east may send", () => known.byCommonName.get("east")?.cluster === "east")
        assert.isFalse(known.byCommonName.has("west"))
        assert.strictEqual(known.byToken.size, 1)
        writeFileSync(files.tokenFile, "- nonsense\n")
        writeFileSync(files.auditClientCa, renewed)
        writeFileSync(files.tokenFile, names)
        yield* becomes("the new authority counts", () => authorities.at(-1)?.[0] === renewed)
        assert.isTrue(known.byCommonName.has("west"))
      })
    )
  )
})
