/** Who a caller is taken for, over real TLS: every certificate and header that somebody may come with. */
import { Effect, Exit, Layer, Scope } from "effect"
import { Agent, request, type RequestOptions } from "node:https"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Health } from "../../../src/runtime/Health.ts"
import { listen, type Listener } from "../../../src/runtime/Listener.ts"
import { Authenticator, type User } from "../../../src/serve/auth/Authenticator.ts"
import { clusterAuthenticationLayer } from "../../../src/serve/auth/clusterAuthentication.ts"
import { followClientAuthorities } from "../../../src/serve/auth/followClientAuthorities.ts"
import { type Authority, type Certificate, makeAuthority } from "../../support/certificates.ts"
import { eventually } from "../../support/eventually.ts"
import { refusal, type TestKube, testKube } from "./testKube.ts"

const configMap = (client: Authority, proxy: Authority, more: Readonly<Record<string, string>> = {}) => ({
  "client-ca-file": client.certificate,
  "requestheader-client-ca-file": proxy.certificate,
  "requestheader-allowed-names": '["front-proxy-client"]',
  "requestheader-username-headers": '["X-Remote-User"]',
  "requestheader-uid-headers": '["X-Remote-Uid"]',
  "requestheader-group-headers": '["X-Remote-Group"]',
  "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
  ...more
})

/** A user, or the status that it was refused with. */
type Taken = User | number

interface Server extends AsyncDisposable {
  readonly listener: Listener
  readonly kube: TestKube
  readonly health: Health["Service"]
  /** On a connection of its own, or one of the agent's. */
  readonly ask: (
    certificate: Certificate | undefined,
    headers?: RequestOptions["headers"],
    agent?: Agent
  ) => Promise<Taken>
}

const tokens: Readonly<Record<string, object>> = {
  "token-of-dave": {
    authenticated: true,
    user: { username: "dave", uid: "uid-dave", groups: ["ops"], extra: { team: ["blue"] } }
  },
  "token-of-nobody": { authenticated: true, user: {} }
}

/** Signs what our own listeners show. */
const servers = await makeAuthority("servers")

/** A listener whose answer is whom it takes the caller for. */
const startServer = async (data: Readonly<Record<string, string>> | undefined): Promise<Server> => {
  const kube = testKube({
    token: (token) =>
      token === "token-in-outage"
        ? Effect.fail(refusal(500))
        : Effect.succeed(tokens[token] ?? { authenticated: false, error: "unknown" })
  })
  if (data !== undefined) kube.setConfigMap(data)
  const tls = await servers.server("activity-apiserver", ["localhost", "127.0.0.1"])
  const scope = await Effect.runPromise(Scope.make())
  const context = await Effect.runPromise(
    clusterAuthenticationLayer.pipe(
      Layer.provideMerge(Layer.mergeAll(Health.layer, kube.layer)),
      Layer.buildWithScope(scope)
    )
  )
  const listener: Listener = await Effect.runPromise(
    Effect.gen(function* () {
      const authenticator = yield* Authenticator
      const opened = yield* listen({
        setting: "api-listen",
        address: { host: "127.0.0.1", port: 0 },
        tls,
        asksForCertificates: true,
        drainMillis: 0,
        handle: (received, response) =>
          authenticator.authenticate(received).pipe(
            Effect.match({
              onFailure: (error) => void response.writeHead(error.code, { connection: "close" }).end(),
              onSuccess: (user) => void response.writeHead(200).end(JSON.stringify(user))
            })
          )
      })
      yield* followClientAuthorities(opened)
      return opened
    }).pipe(Effect.provide(context), Effect.provideService(Scope.Scope, scope))
  )
  return {
    listener,
    kube,
    health: await Effect.runPromise(Health.pipe(Effect.provide(context))),
    ask: (certificate, headers = {}, agent) =>
      new Promise((resolve, reject) => {
        const sent = request(
          listener.url,
          {
            ca: servers.certificate,
            headers,
            agent: agent ?? false,
            ...(certificate === undefined ? {} : { cert: certificate.certificate, key: certificate.key })
          },
          (response) => {
            let text = ""
            response.on("data", (chunk: Buffer) => (text += chunk.toString()))
            response.on("end", () =>
              resolve(response.statusCode === 200 ? JSON.parse(text) : (response.statusCode ?? 0))
            )
          }
        )
        sent.on("error", reject)
        sent.end()
      }),
    [Symbol.asyncDispose]: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

const user = (name: string, more: Partial<User> = {}): User => ({
  name,
  uid: "",
  groups: ["system:authenticated"],
  extra: {},
  ...more
})

/** Whom kube-apiserver names; it has a record of the request. */
const passedOn = (name: string, more: Partial<User> = {}): User => ({ ...user(name, more), isPassedOn: true })

/** Node's client sends each character as one byte. */
const utf8 = (text: string): string => Buffer.from(text, "utf8").toString("latin1")

describe("whom a caller is taken for", () => {
  let clients: Authority
  let proxies: Authority
  let server: Server
  let frontProxy: Certificate
  let carol: Certificate

  beforeAll(async () => {
    clients = await makeAuthority("clients")
    proxies = await makeAuthority("proxies")
    frontProxy = await proxies.client("front-proxy-client")
    carol = await clients.client("carol", ["dev", "a, b"])
    server = await startServer(configMap(clients, proxies))
    await eventually("authorities are known", async () => typeof (await server.ask(carol)) === "object")
  })
  afterAll(() => server[Symbol.asyncDispose]())

  const forged = { "x-remote-user": "root", "x-remote-group": "system:masters" }
  const carolHerself = user("carol", { groups: ["dev", "a, b", "system:authenticated"] })

  it("kube-apiserver names the user: groups one by one, extra keys decoded, values as UTF-8", async () => {
    const taken = await server.ask(frontProxy, {
      "X-Remote-User": utf8("jürgen"),
      "X-Remote-Uid": "uid-1",
      "X-Remote-Group": ["dev, team", "system:authenticated"],
      "X-Remote-Extra-Iam.miloapis.com%2fparent-Name": [utf8("org-1/ü"), "second"],
      "X-Remote-Extra-Bad%zz": "kept",
      "X-Remote-Extra-__proto__": "a key as any other"
    })
    expect(taken).toEqual({
      name: "jürgen",
      uid: "uid-1",
      groups: ["dev, team", "system:authenticated"],
      extra: Object.fromEntries([
        ["iam.miloapis.com/parent-name", ["org-1/ü", "second"]],
        ["bad%zz", ["kept"]],
        ["__proto__", ["a key as any other"]]
      ]),
      isPassedOn: true
    })
  })

  it("system:aggregator, which comes without groups, is authenticated; a caller unknown to kube-apiserver is not", async () => {
    expect(await server.ask(frontProxy, { "X-Remote-User": "system:aggregator" })).toEqual(
      passedOn("system:aggregator")
    )
    expect(
      await server.ask(frontProxy, { "X-Remote-User": "system:anonymous", "X-Remote-Group": "system:unauthenticated" })
    ).toEqual(passedOn("system:anonymous", { groups: ["system:unauthenticated"] }))
  })

  it("a client certificate names its user, whatever the headers say", async () => {
    expect(await server.ask(carol)).toEqual(carolHerself)
    expect(await server.ask(carol, forged)).toEqual(carolHerself)
  })

  it("a certificate by an intermediate counts when the cluster names the intermediate beside its authority", async () => {
    const between = await clients.intermediate("between")
    const erin = await between.client("erin")
    const chain = { ...erin, certificate: `${erin.certificate}\n${between.certificate}` }
    expect(await server.ask(chain)).toBe(401)
    const bundle = `${clients.certificate}\n${between.certificate}\n`
    await using other = await startServer(configMap(clients, proxies, { "client-ca-file": bundle }))
    await eventually("authorities are known", async () => typeof (await other.ask(carol)) === "object")
    expect(await other.ask(chain)).toEqual(user("erin"))
    expect(await other.ask(erin)).toEqual(user("erin"))
  })

  it("forged headers are worth nothing with any other certificate, or none", async () => {
    const stranger = await makeAuthority("clients")
    const matrix: ReadonlyArray<readonly [string, Certificate | undefined, Taken]> = [
      ["none", undefined, 401],
      ["the proxy's authority, another name", await proxies.client("somebody-else"), 401],
      [
        "the proxy's authority, right name, for servers",
        await proxies.server("front-proxy-client", ["localhost"]),
        401
      ],
      [
        "the proxy's authority, right name, expired",
        await proxies.client("front-proxy-client", [], { isExpired: true }),
        401
      ],
      ["the users' authority, right name", await clients.client("front-proxy-client"), user("front-proxy-client")],
      ["an authority of the same name as the users'", await stranger.client("front-proxy-client"), 401],
      ["a user's, expired", await clients.client("carol", [], { isExpired: true }), 401],
      ["a user's, for servers", await clients.server("carol", ["localhost"]), 401],
      ["a user's without a use", await clients.client("carol", [], { isForAnything: true }), user("carol")],
      [
        "the proxy's without a use",
        await proxies.client("front-proxy-client", [], { isForAnything: true }),
        passedOn("root", { groups: ["system:masters", "system:authenticated"] })
      ]
    ]
    const found = await Promise.all(
      matrix.map(async ([title, certificate]) => [title, certificate, await server.ask(certificate, forged)] as const)
    )
    expect(found).toEqual(matrix)
  })

  it("kube-apiserver's own certificate without a user is nobody", async () => {
    expect(await server.ask(frontProxy)).toBe(401)
    expect(await server.ask(frontProxy, { "X-Remote-Group": "system:masters" })).toBe(401)
    expect(await server.ask(frontProxy, { "X-Remote-User": "" })).toBe(401)
  })

  it("a token is reviewed once, and a bad one is 401", async () => {
    const dave = user("dave", { uid: "uid-dave", groups: ["ops", "system:authenticated"], extra: { team: ["blue"] } })
    expect(await server.ask(undefined, { authorization: "Bearer token-of-dave" })).toEqual(dave)
    expect(await server.ask(undefined, { authorization: "Bearer token-of-dave", ...forged })).toEqual(dave)
    expect(server.kube.tokenReviews.filter((spec) => JSON.stringify(spec).includes("dave"))).toHaveLength(1)
    expect(await server.ask(undefined, { authorization: "Bearer wrong" })).toBe(401)
    expect(await server.ask(undefined, { authorization: "Bearer token-of-nobody" })).toBe(401)
    expect(await server.ask(undefined, { authorization: "Basic YTpi" })).toBe(401)
  })

  it("a token that cannot be reviewed is 503: it may be good", async () => {
    expect(await server.ask(undefined, { authorization: "Bearer token-in-outage" })).toBe(503)
  })

  it("impersonation is kube-apiserver's: ignored from it, refused from everybody else", async () => {
    const asRoot = { "impersonate-user": "root", "impersonate-group": "system:masters" }
    expect(await server.ask(frontProxy, { "X-Remote-User": "alice", ...asRoot })).toEqual(passedOn("alice"))
    expect(await server.ask(carol, asRoot)).toBe(400)
    expect(await server.ask(undefined, { authorization: "Bearer token-of-dave", ...asRoot })).toBe(400)
    expect(await server.ask(undefined, asRoot)).toBe(401)
  })
})

describe("authentication settings", () => {
  it("are waited for, renewed while the server runs, and survive what is wrong", async () => {
    const [clients, newClients, proxies, newProxies] = (await Promise.all(
      ["clients", "clients-2", "proxies", "proxies-2"].map(makeAuthority)
    )) as [Authority, Authority, Authority, Authority]
    const alice = { "X-Remote-User": "alice" }
    const [frontProxy, newFrontProxy] = [
      await proxies.client("front-proxy-client"),
      await newProxies.client("front-proxy-client")
    ]
    const [carol, newCarol] = [await clients.client("carol"), await newClients.client("carol")]
    await using server = await startServer(undefined)
    const problems = () =>
      server.health.report().checks.flatMap(({ name, problem }) => (problem === undefined ? [] : [name]))
    await eventually("it is told that they are missing", () =>
      server.health
        .report()
        .checks.find(({ name }) => name === "authentication-configuration")
        ?.problem?.includes("is not there")
    )
    expect(server.health.report().ready).toBe(false)
    expect(await server.ask(frontProxy, alice)).toBe(401)
    server.kube.setConfigMap(configMap(clients, proxies))
    await eventually("the front proxy is known", async () => typeof (await server.ask(frontProxy, alice)) === "object")
    expect(server.health.report().ready).toBe(true)
    expect(problems()).toEqual([])
    expect(await server.ask(newFrontProxy, alice)).toBe(401)

    // As an authority is renewed: both for a while, then the new one alone.
    const both = { "requestheader-client-ca-file": proxies.certificate + newProxies.certificate }
    server.kube.setConfigMap(configMap(newClients, proxies, both))
    await eventually("the new one is known", async () => typeof (await server.ask(newFrontProxy, alice)) === "object")
    expect(await server.ask(frontProxy, alice)).toEqual(passedOn("alice"))
    expect(await server.ask(newCarol)).toEqual(user("carol"))
    expect(await server.ask(carol)).toBe(401)
    server.kube.setConfigMap(configMap(newClients, newProxies))
    await eventually("the old one is not", async () => (await server.ask(frontProxy, alice)) === 401)

    // Wrong ones: the last good ones stay, and it is told.
    const wrong: ReadonlyArray<Readonly<Record<string, string>> | undefined> = [
      undefined,
      {
        ...configMap(newClients, newProxies),
        "requestheader-client-ca-file": "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n"
      },
      { ...configMap(newClients, newProxies), "requestheader-client-ca-file": "" },
      { ...configMap(newClients, newProxies), "client-ca-file": "-----BEGIN CERTIFICATE-----\n" },
      { ...configMap(newClients, newProxies), "requestheader-username-headers": "[]" },
      { ...configMap(newClients, newProxies), "requestheader-allowed-names": "front-proxy-client" },
      configMap(newClients, newClients, { "requestheader-allowed-names": "[]" })
    ]
    for (const data of wrong) {
      server.kube.setConfigMap(data)
      await eventually("it is told", () => problems().length > 0)
      expect(problems()).toEqual(["authentication-configuration-current"])
      expect(server.health.report().ready).toBe(true)
      expect(await server.ask(newFrontProxy, alice)).toEqual(passedOn("alice"))
      server.kube.setConfigMap(configMap(newClients, newProxies))
      await eventually("it is well again", () => problems().length === 0)
    }
  })

  it("a connection that was believed is not when its authority has gone", async () => {
    const [clients, proxies] = [await makeAuthority("clients"), await makeAuthority("proxies")]
    await using server = await startServer(configMap(clients, proxies))
    const carol = await clients.client("carol")
    await eventually("she is known", async () => typeof (await server.ask(carol)) === "object")
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    expect(await server.ask(carol, {}, agent)).toEqual(user("carol"))
    server.kube.setConfigMap(configMap(await makeAuthority("others"), proxies))
    await eventually("she is not", async () => (await server.ask(carol, {}, agent)) === 401)
    agent.destroy()
  })

  it("the server's own certificate is renewed, and who signs clients' stays known", async () => {
    const [clients, proxies] = [await makeAuthority("clients"), await makeAuthority("proxies")]
    await using server = await startServer(configMap(clients, proxies))
    const carol = await clients.client("carol")
    await eventually("she is known", async () => typeof (await server.ask(carol)) === "object")
    server.listener.setTls(await servers.server("renewed", ["localhost", "127.0.0.1"]))
    expect(await server.ask(carol)).toEqual(user("carol"))
    expect(await server.ask(await proxies.client("front-proxy-client"), { "x-remote-user": "alice" })).toEqual(
      passedOn("alice")
    )
  })

  it("403 on the ConfigMap is told, asked again, and no end", async () => {
    const [clients, proxies] = [await makeAuthority("clients"), await makeAuthority("proxies")]
    const kube = testKube()
    kube.refuse(403)
    kube.setConfigMap(configMap(clients, proxies))
    const scope = await Effect.runPromise(Scope.make())
    const context = await Effect.runPromise(
      clusterAuthenticationLayer.pipe(
        Layer.provideMerge(Layer.mergeAll(Health.layer, kube.layer)),
        Layer.buildWithScope(scope)
      )
    )
    const health = await Effect.runPromise(Health.pipe(Effect.provide(context)))
    await eventually("it is told", () =>
      health.report().checks.some(({ problem }) => problem?.includes("403") === true)
    )
    expect(health.report().ready).toBe(false)
    kube.refuse(undefined)
    await eventually("it is read", () => health.report().ready, { deadlineMillis: 20_000 })
    await Effect.runPromise(Scope.close(scope, Exit.void))
  })
})
