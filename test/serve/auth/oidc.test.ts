/** Tokens of an OpenID Connect issuer, over real TLS, with real signatures, and every way in which one may be bad. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { eventually } from "../../support/eventually.ts"
import {
  makeKey,
  type OidcIssuer,
  signed,
  signedBySecret,
  startOidcIssuer,
  unsigned
} from "../../support/oidcIssuer.ts"
import { httpsJson } from "../../../src/serve/auth/httpsJson.ts"
import { userFromClaims } from "../../../src/serve/auth/oidcUser.ts"
import { https } from "../../support/httpsJson.ts"
import { type Api, group, startApi } from "../apiFixture.ts"
import { Effect } from "effect"

const rsa = makeKey("rsa")
const pss = makeKey("pss", "PS256")
const elliptic = makeKey("elliptic", "ES256")
const edwards = makeKey("edwards", "EdDSA")
const strange = makeKey("rsa")
const seconds = () => Math.floor(Date.now() / 1_000)

const claimNames = { username: "email", groups: "groups", tenant: "tenant" }

describe("tokens of an issuer", () => {
  let issuer: OidcIssuer
  let api: Api
  beforeAll(async () => {
    issuer = await startOidcIssuer([rsa, pss, elliptic, edwards])
    api = await startApi({
      writer: false,
      oidc: { issuerUrl: issuer.url, clientId: "activity", claims: claimNames, authorities: issuer.authority }
    })
  })
  afterAll(async () => {
    await api[Symbol.asyncDispose]()
    await issuer[Symbol.asyncDispose]()
  })

  const claims = (more: Readonly<Record<string, unknown>> = {}) =>
    issuer.claims({ email: "alice@example.com", email_verified: true, groups: ["admins"], ...more })
  const ask = (token: string, path = `${group}/activities`) =>
    https(`${api.url}${path}`, { authority: api.authority, token, headers: { connection: "close" } })
  const statusOf = async (token: string) => (await ask(token)).status
  /** What the API calls the user, told by what it refuses. */
  const nameOf = async (token: string): Promise<string | undefined> =>
    /User "([^"]*)"/.exec((await ask(token, "/of-nobody")).json().message)?.[1]

  it("one of each algorithm is believed, for the name and the groups that it says", async () => {
    for (const key of [rsa, pss, elliptic, edwards]) {
      expect([key.algorithm, await statusOf(signed(key, claims()))]).toEqual([key.algorithm, 200])
    }
    expect(await nameOf(signed(rsa, claims()))).toBe("alice@example.com")
    expect(await statusOf(signed(rsa, claims({ groups: [] })))).toBe(403)
    expect(await statusOf(signed(rsa, claims({ groups: "admins" })))).toBe(200)
    expect(await statusOf(signed(rsa, claims({ aud: ["other", "activity"] })))).toBe(200)
  })

  it("tokens of the file are known beside it", async () => {
    expect(await statusOf("token-admin")).toBe(200)
    expect(await statusOf("token-of-nobody")).toBe(401)
  })

  it("the tenant is the one that the claim names; one that is unclear sees nothing", async () => {
    const tenant = (value: unknown) => statusOf(signed(rsa, claims({ groups: ["viewers"], tenant: value })))
    expect(await tenant("Project/a")).toBe(200)
    expect(await tenant({ type: "organization", name: "a/b" })).toBe(200)
    for (const unclear of ["Project", "Project/", "/a", "Team/a", "Platform/", ["Project/a"], {}, null, 7, true]) {
      expect([unclear, await tenant(unclear)]).toEqual([unclear, 403])
    }
  })

  const otherText = (text: string) => `${text.slice(0, 10)}${text[10] === "A" ? "B" : "A"}${text.slice(11)}`
  const parts = (token: string) => token.split(".") as [string, string, string]
  const bad: Readonly<Record<string, () => string>> = {
    "signed by another key of the same name": () => signed(strange, claims()),
    "of a key that nobody has": () => signed(rsa, claims(), { kid: "unknown" }),
    "with a name of a key of another algorithm": () => signed(rsa, claims(), { kid: "elliptic" }),
    "without the name of a key, where several could be meant": () =>
      signed(makeKey("rsa", "ES256"), claims(), { kid: undefined }),
    "signed by nobody": () => unsigned(claims()),
    "signed by nobody, in capitals": () => unsigned(claims(), "NONE"),
    "signed by nobody, with the name of an algorithm": () => unsigned(claims(), "RS256"),
    "signed by the public key as a secret": () =>
      signedBySecret(rsa.publicKey.export({ format: "pem", type: "spki" }).toString(), claims(), { kid: "rsa" }),
    "signed by an empty secret": () => signedBySecret("", claims(), { kid: "rsa" }),
    "with another algorithm in its header": () => signed(rsa, claims(), { alg: "PS256" }),
    "with a key of its own in its header": () =>
      signed(strange, claims(), { kid: undefined, jwk: strange.publicKey.export({ format: "jwk" }) }),
    "with an extension that must be understood": () => signed(rsa, claims(), { crit: ["exp"], exp: 1 }),
    "with other claims than were signed": () => {
      const [header, , signature] = parts(signed(rsa, claims()))
      return `${header}.${parts(signed(strange, claims({ groups: ["system:masters"] })))[1]}.${signature}`
    },
    "with a signature that was changed": () => {
      const [header, payload, signature] = parts(signed(rsa, claims()))
      return `${header}.${payload}.${otherText(signature)}`
    },
    "of another issuer": () => signed(rsa, claims({ iss: `${issuer.url}/` })),
    "of no issuer": () => signed(rsa, claims({ iss: undefined })),
    "for somebody else": () => signed(rsa, claims({ aud: "another" })),
    "for nobody": () => signed(rsa, claims({ aud: undefined })),
    "that has ended": () => signed(rsa, claims({ exp: seconds() - 120 })),
    "that never ends": () => signed(rsa, claims({ exp: undefined })),
    "whose end is no time": () => signed(rsa, claims({ exp: "tomorrow" })),
    "that does not count yet": () => signed(rsa, claims({ nbf: seconds() + 120 })),
    "without a name": () => signed(rsa, claims({ email: undefined })),
    "with an empty name": () => signed(rsa, claims({ email: "" })),
    "with a name that is none": () => signed(rsa, claims({ email: ["alice"] })),
    "with a name of the system": () => signed(rsa, claims({ email: "system:admin" })),
    "with an address that is not verified": () => signed(rsa, claims({ email_verified: false })),
    "with an address that is verified in words": () => signed(rsa, claims({ email_verified: "true" })),
    "without a subject": () => signed(rsa, claims({ sub: undefined })),
    "with groups that are none": () => signed(rsa, claims({ groups: [7] })),
    "that is too large": () => signed(rsa, claims({ filler: "x".repeat(20_000) })),
    "that is no JSON": () => "eyJ.eyJ.eyJ",
    "of empty parts": () => "..",
    "of five parts": () => "a.b.c.d.e"
  }

  it.each(Object.entries(bad))("a token %s is 401, and its sender is told no more", async (_, token) => {
    const answer = await ask(token())
    expect(answer.status).toBe(401)
    expect(answer.json()).toMatchObject({ reason: "Unauthorized", message: "Unauthorized" })
  })

  it("clocks may differ by half a minute", async () => {
    expect(await statusOf(signed(rsa, claims({ exp: seconds() - 10 })))).toBe(200)
    expect(await statusOf(signed(rsa, claims({ nbf: seconds() + 10 })))).toBe(200)
  })

  it("groups of the system are not taken from an issuer", async () => {
    expect(await statusOf(signed(rsa, claims({ groups: ["system:masters"] })))).toBe(403)
  })

  it("a new key is found, however many tokens of unknown keys come", async () => {
    const before = issuer.asked()
    const began = performance.now()
    const next = makeKey("next", "ES256")
    issuer.says.keys = [rsa, next]
    const unknown = Array.from({ length: 40 }, (_, index) => signed(strange, claims(), { kid: `unknown-${index}` }))
    expect(new Set(await Promise.all(unknown.map(statusOf)))).toEqual(new Set([401]))
    // Once in ten seconds.
    expect(issuer.asked() - before).toBeLessThanOrEqual(1 + Math.floor((performance.now() - began) / 10_000))
    await eventually("the new key counts", async () => (await statusOf(signed(next, claims()))) === 200)
    // Taken back with the same look.
    expect(await statusOf(signed(edwards, claims()))).toBe(401)
    expect(await statusOf(signed(rsa, claims()))).toBe(200)
    issuer.says.status = 500
    expect(await statusOf(signed(rsa, claims()))).toBe(200)
    issuer.says.status = 200
  })
})

describe("an issuer that cannot be asked", () => {
  const breaks: ReadonlyArray<readonly [string, Partial<OidcIssuer["says"]>]> = [
    ["fails", { status: 500 }],
    ["says that it is another", { issuer: "https://example.com" }],
    ["answers no keys", { keysText: "{}" }],
    ["answers no JSON", { keysText: "<html>" }],
    ["has its keys at an address that is none", { keysUrl: "https://[" }]
  ]
  it.each(breaks)(
    "that %s: its tokens are told to come again, those of nobody are 401",
    async (_, broken) => {
      await using issuer = await startOidcIssuer([rsa])
      Object.assign(issuer.says, broken)
      await using api = await startApi({
        writer: false,
        withoutTokens: true,
        oidc: {
          issuerUrl: issuer.url,
          clientId: "activity",
          claims: { ...claimNames, username: "sub" },
          authorities: issuer.authority
        }
      })
      const ask = (token: string) => https(`${api.url}${group}/activities`, { authority: api.authority, token })
      expect((await ask(signed(rsa, issuer.claims()))).status).toBe(503)
      expect((await ask("token-admin")).status).toBe(401)
    },
    120_000
  )

  it("its certificate is judged by the authorities that are given", async () => {
    await using issuer = await startOidcIssuer([rsa])
    const url = `${issuer.url}/.well-known/openid-configuration`
    expect(await Effect.runPromise(httpsJson(url, issuer.authority))).toMatchObject({ issuer: issuer.url })
    const refused = await Effect.runPromise(Effect.flip(httpsJson(url, undefined)))
    expect(refused.sentence).toContain("certificate")
  })
})

describe("claims", () => {
  const whom = (claims: Readonly<Record<string, unknown>>) =>
    userFromClaims({ sub: "1", ...claims }, { username: "name", groups: "roles", tenant: "" })

  it("are read by the names that settings give", () => {
    expect(
      whom({ name: "alice", roles: ["a", "system:masters", "", "b"], groups: ["c"], tenant: "Project/a" })
    ).toMatchObject({ _tag: "Success", success: { name: "alice", uid: "1", groups: ["a", "b"], extra: {} } })
  })
})
