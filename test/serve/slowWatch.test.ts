import type { IncomingMessage } from "node:http"
import { request } from "node:https"
import { describe, expect, it } from "vitest"
import { eventually } from "../support/eventually.ts"
import { type Frame, group, startApi } from "./apiFixture.ts"

const count = 24_000
const perBatch = 2_000

describe("a slow watch", () => {
  it("a client that takes nothing is ended, and resumes without a gap", async () => {
    await using api = await startApi({ writer: false })
    const { metadata } = (await api.request("admin", `${group}/activities`)).json()
    const frames: Array<Frame> = []
    let rest = ""
    let ended = false
    const response = await new Promise<IncomingMessage>((resolve, reject) =>
      request(
        `${api.url}${group}/activities?watch=true&resourceVersion=${metadata.resourceVersion}`,
        {
          ca: api.authority,
          headers: { authorization: "Bearer token-admin" }
        },
        resolve
      )
        .on("error", reject)
        .end()
    )
    response.setEncoding("utf8")
    const end = () => (ended = true)
    response.once("end", end).once("error", end).once("close", end)
    response.on("data", (text: string) => {
      const lines = (rest + text).split("\n")
      rest = lines.pop() ?? ""
      frames.push(...lines.map((line) => JSON.parse(line)))
    })
    response.pause()
    for (let sent = 0; sent < count; sent += perBatch) {
      await api.publish(
        Array.from({ length: perBatch }, (_, index) => ({ id: `s-${sent + index}`, summary: "x".repeat(1_000) }))
      )
    }
    response.resume()
    await eventually("it is ended", () => ended)
    const idsOf = (list: ReadonlyArray<Frame>) => list.map((frame) => frame.object.spec.origin.id)
    const first = idsOf(frames)
    expect(first.length).toBeLessThan(count)
    // In order from the beginning: what was left out is at the end, not in between.
    expect(first).toEqual(first.map((_, index) => `s-${index}`))
    const again = api.watch(
      "admin",
      `${group}/activities?watch=true&resourceVersion=${frames.at(-1)?.object.metadata.resourceVersion}`
    )
    await eventually("the rest", () => again.frames.length === count - first.length)
    again.stop()
    expect(idsOf(again.frames)).toEqual(
      Array.from({ length: count - first.length }, (_, index) => `s-${first.length + index}`)
    )
  }, 180_000)
})
