/** What the API server does with more than it can take, and when it goes away. */
import { Agent, request as sendHttps } from "node:https"
import { connect, type TLSSocket } from "node:tls"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { eventually } from "../support/eventually.ts"
import { type Api, group, startApi } from "./apiFixture.ts"

const list = `${group}/namespaces/team-1/activities`

describe("requests in flight", () => {
  let api: Api
  beforeAll(async () => {
    api = await startApi({ writer: false })
  })
  afterAll(() => api[Symbol.asyncDispose]())

  /** A request whose body never comes. */
  const stuck = async (user: "admin" | "master"): Promise<TLSSocket> => {
    const { hostname, port } = new URL(api.url)
    const socket = connect({ host: hostname, port: Number(port), ca: api.authority, servername: "localhost" })
    socket.on("error", () => undefined)
    socket.write(
      `POST ${group}/activitypolicies HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer token-${user}\r\n` +
        `Content-Type: application/json\r\nContent-Length: 10\r\n\r\n`
    )
    return socket
  }

  it("one user's bodies that never come leave half of the places to everybody else", async () => {
    const sockets = await Promise.all(Array.from({ length: 140 }, () => stuck("admin")))
    const refused = await eventually("the user has its share", async () => {
      const answer = await api.request("admin", list)
      return answer.status === 429 ? answer : undefined
    })
    expect(refused.headers["retry-after"]).toBe("1")
    expect(refused.json().message).toBe("too many of your requests are being answered: try again later")
    const others = await Promise.all(Array.from({ length: 8 }, () => api.request("viewer", list)))
    expect(others.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200))
    for (const socket of sockets) socket.destroy()
    await eventually("there is room", async () => (await api.request("admin", list)).status === 200)
  })

  it("beyond 128 requests are 429 with Retry-After; watches, discovery and probes go on", async () => {
    const users = ["admin", "master"] as const
    const sockets = await Promise.all(users.flatMap((user) => Array.from({ length: 64 }, () => stuck(user))))
    const refused = await eventually("there is no room", async () => {
      const answer = await api.request("viewer", list)
      return answer.status === 429 ? answer : undefined
    })
    expect(refused.headers["retry-after"]).toBe("1")
    expect(refused.json()).toMatchObject({
      kind: "Status",
      reason: "TooManyRequests",
      details: { retryAfterSeconds: 1 }
    })
    const others = ["/apis", group, "/openapi/v3", "/readyz", "/livez"]
    expect(await Promise.all(others.map(async (path) => (await api.request("admin", path)).status))).toEqual(
      others.map(() => 200)
    )
    const watch = await api.request("admin", `${list}?watch=true&resourceVersion=0&timeoutSeconds=1`)
    expect(watch.status).toBe(200)
    for (const socket of sockets) socket.destroy()
    await eventually("there is room", async () => (await api.request("admin", list)).status === 200)
  })
})

describe("a server that goes away", () => {
  it("answers what still comes, ending each connection, is not ready meanwhile, and cuts nobody off", async () => {
    await using api = await startApi({ writer: false, shutdownDelayMillis: 1_000 })
    const agent = new Agent({ keepAlive: true, maxSockets: 8, ca: api.authority })
    const outcomes: Array<{ readonly status: number | string; readonly isReused: boolean }> = []
    /** Whether the connection goes on. */
    const ask = (): Promise<boolean> =>
      new Promise((resolve) => {
        const headers = { authorization: "Bearer token-admin" }
        const sent = sendHttps(`${api.url}${list}`, { agent, headers }, (response) => {
          response.resume()
          response.on("end", () => {
            outcomes.push({ status: response.statusCode ?? 0, isReused: sent.reusedSocket })
            resolve(response.headers.connection !== "close")
          })
        })
        sent.on("error", (cause) => {
          outcomes.push({ status: cause.message, isReused: sent.reusedSocket })
          resolve(false)
        })
        sent.end()
      })
    // The next connection would go to another replica.
    const client = async () => {
      while (await ask());
    }
    const clients = Array.from({ length: 8 }, client)
    await eventually("connections are used again", () => outcomes.filter(({ isReused }) => isReused).length > 20)
    const stopping = api.stopServer()
    await eventually("it says that it is not ready", async () => (await api.request("admin", "/readyz")).status === 503)
    // Who has not heard of it yet is served.
    expect((await api.request("admin", list)).status).toBe(200)
    await Promise.all(clients)
    await stopping
    agent.destroy()
    expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set([200]))
    await api.startServer()
  })
})

describe("the time that a query asks for", () => {
  it("a setting says how many days a query may ask for", async () => {
    await using api = await startApi({ writer: false, queryDaysMax: 365 })
    const ask = async (startTime: string) =>
      (
        await api.request("admin", `${group}/auditlogqueries`, {
          method: "POST",
          body: JSON.stringify({
            apiVersion: "activity.miloapis.com/v1alpha1",
            kind: "AuditLogQuery",
            spec: { startTime, endTime: "now" }
          })
        })
      ).status
    expect([await ask("now-365d"), await ask("now-366d")]).toEqual([201, 422])
  })
})
