/** All that a watch tells, told whole however slow the machine is. */
import { assert } from "vitest"

export interface Frame {
  readonly type: string
  // What a server sends has no type here; tests look at single fields.
  readonly object: ReturnType<typeof JSON.parse>
}

/**
 * What a watch tells of what happened after `from`, up to `until` at least: it is gone on with from its last bookmark, a
 * second each time, until that has passed `until`.
 *
 * @param path of a collection, perhaps with a query
 * @param from and `until` are resourceVersions
 */
export const watchedBetween = async (
  request: (path: string) => Promise<{ readonly status: number; readonly text: string }>,
  path: string,
  from: string | number,
  until: string | number
): Promise<ReadonlyArray<Frame>> => {
  const told: Array<Frame> = []
  for (let position = Number(from); position < Number(until);) {
    const query = `watch=true&timeoutSeconds=1&allowWatchBookmarks=true&resourceVersion=${position}`
    const { status, text } = await request(`${path}${path.includes("?") ? "&" : "?"}${query}`)
    assert.strictEqual(status, 200, text)
    const frames = text
      .trimEnd()
      .split("\n")
      .map((line): Frame => JSON.parse(line))
    const bookmark = frames.pop()
    assert.strictEqual(bookmark?.type, "BOOKMARK", text)
    told.push(...frames)
    position = Number(bookmark?.object.metadata.resourceVersion)
  }
  return told
}
