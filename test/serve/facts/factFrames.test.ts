import { describe, expect, it } from "vitest"
import type { Activity } from "../../../src/domain/Activity.ts"
import type { ServedActivity } from "../../../src/serve/activities/activityColumns.ts"
import { servedActivity } from "../../../src/serve/activities/served.ts"
import { FactFrames } from "../../../src/serve/facts/FactFrames.ts"
import type { FeedMessage } from "../../../src/serve/facts/FeedMessage.ts"
import { type Printer, printerIn } from "../../../src/serve/Table.ts"
import { activityFrom, nameOf } from "../apiFixture.ts"

const apiVersion = "activity.miloapis.com/v1"
const kind = { apiVersion, kind: "Activity" }
const asObjects = (): Printer<ServedActivity> => printerIn({ _tag: "Object" }, [], kind, "Metadata")
const framesWith = (printer: Printer<ServedActivity>, shows: () => boolean = () => true) =>
  new FactFrames<Activity, ServedActivity>({ shows, served, printer })
const framesOf = (superseded: (one: FeedMessage<Activity>) => boolean = () => false) =>
  new FactFrames<Activity, ServedActivity>({ shows: () => true, served, printer: asObjects(), superseded })
const served = (fact: Activity, sequence: number) => servedActivity(fact, sequence, apiVersion)
const activity = (id: string): Activity => activityFrom({ id }, 0)
const message = (id: string, sequence: number, mark: FeedMessage<Activity>["mark"]): FeedMessage<Activity> => ({
  sequence,
  key: id,
  mark,
  fact: activity(id),
  order: 0n,
  sizeBytes: 1
})
const shown = (text: string) =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line))
    .map(({ object, type }) => [type, object.metadata.name, object.metadata.resourceVersion])

describe("frames of a watch of facts", () => {
  it("what the initial state had newer than its version does not go back, and does not come twice", () => {
    const frames = framesOf()
    // The store had "one" as its 150th message wrote it, though its state was promised up to 100 only.
    const initial = frames.initial([served(activity("one"), 150), served(activity("two"), 90)], 100)
    const messages = [
      message("one", 120, "modified"),
      message("two", 130, "modified"),
      message("one", 150, "modified"),
      message("one", 160, "modified"),
      message("one", 170, "deleted")
    ]
    expect(shown(initial + frames.of({ messages, position: 170, printed: new Map() }))).toEqual([
      ["ADDED", nameOf("one"), "150"],
      ["ADDED", nameOf("two"), "90"],
      ["MODIFIED", nameOf("two"), "130"],
      ["MODIFIED", nameOf("one"), "160"],
      ["DELETED", nameOf("one"), "170"]
    ])
    expect(frames.highest).toBe(170)
  })

  it("a sight that a later one superseded is left out, and the later one adds", () => {
    const frames = framesOf(({ sequence }) => sequence < 150)
    const messages = [
      message("one", 120, "added"),
      message("two", 130, "modified"),
      message("one", 150, "modified"),
      message("two", 160, "modified"),
      message("one", 170, "modified")
    ]
    expect(shown(frames.of({ messages, position: 170, printed: new Map() }))).toEqual([
      ["ADDED", nameOf("one"), "150"],
      ["MODIFIED", nameOf("two"), "160"],
      ["MODIFIED", nameOf("one"), "170"]
    ])
  })

  it("watches of one form print a frame once, others each their own", () => {
    const printed = new Map<string, string>()
    const batch = { messages: [message("one", 7, "added"), message("two", 8, "modified")], position: 8, printed }
    const [first, second] = [framesOf(), framesOf()]
    const text = first.of(batch)
    printed.forEach((frame, name) => printed.set(name, frame.replace(apiVersion, "shared")))
    expect(second.of(batch)).toBe(text.replaceAll(apiVersion, "shared"))
    expect([first.highest, second.highest]).toEqual([8, 8])
    const columns = [{ name: "Name", type: "string", description: "", priority: 0, cell: () => "cell" }] as const
    const asTable = () => printerIn<ServedActivity>({ _tag: "Table", version: "v1" }, columns, kind, "None")
    const tables = [asTable(), asTable()].map((printer) => framesWith(printer))
    for (const table of tables) {
      const rows = table
        .of(batch)
        .split("\n")
        .slice(0, -1)
        .map((line) => JSON.parse(line).object)
      expect(rows.map(({ columnDefinitions, rows: [row] }) => [columnDefinitions === null, row.cells[0]])).toEqual([
        [false, "cell"],
        [true, "cell"]
      ])
    }
    const metadata = framesWith(printerIn({ _tag: "Metadata", list: false }, [], kind, "None"))
    expect(JSON.parse(metadata.of(batch).split("\n")[0] ?? "").object.kind).toBe("PartialObjectMetadata")
    const other = framesWith(asObjects(), () => false)
    expect(shown(other.of(batch))).toEqual([["DELETED", nameOf("two"), "8"]])
  })
})
