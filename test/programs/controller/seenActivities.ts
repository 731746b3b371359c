/** What a watch saw of activities while they were told anew. */
import { assert } from "vitest"
import { watchedBetween } from "../../support/watchedBetween.ts"

export interface Seen {
  readonly type: string
  readonly name: string
  readonly summary: string
}

/** In the order of the watch. */
export const seenActivities = async (...between: Parameters<typeof watchedBetween>): Promise<ReadonlyArray<Seen>> => {
  const frames = await watchedBetween(...between)
  return frames.map(({ object, type }) => ({ type, name: object.metadata.name, summary: object.spec.summary }))
}

/** As a dry run counts: what it would add, change and remove. */
export const countsOf = (seen: ReadonlyArray<Seen>) => {
  const countOf = (wanted: string) => seen.filter(({ type }) => type === wanted).length
  return { new: countOf("ADDED"), changed: countOf("MODIFIED"), lost: countOf("DELETED") }
}

/** What somebody has, by name, who had `before` and follows the watch: it tells each activity once. */
export const followed = (
  before: ReadonlyMap<string, string>,
  seen: ReadonlyArray<Seen>
): ReadonlyMap<string, string> => {
  assert.strictEqual(new Set(seen.map(({ name }) => name)).size, seen.length)
  const summaries = new Map(before)
  for (const { name, summary, type } of seen) {
    if (type === "DELETED") summaries.delete(name)
    else summaries.set(name, summary)
  }
  return summaries
}
