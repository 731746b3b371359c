/**
 * What a real cluster said, as text: see test/data/README.md.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { projectFolder } from "../../.ci/projectFolder.ts"

export type EventsVersion = "v1" | "events.k8s.io/v1"

/** An Event as the API server wrote it, in whichever of the two versions. */
export interface RecordedEvent {
  readonly apiVersion: EventsVersion
  readonly kind: "Event"
  readonly metadata: {
    readonly name: string
    readonly namespace: string
    readonly uid: string
    readonly resourceVersion: string
    readonly creationTimestamp: string
  }
  readonly [field: string]: unknown
}

export interface WatchFrame {
  readonly type: "ADDED" | "MODIFIED" | "DELETED"
  readonly object: RecordedEvent
}

const frameFiles: Readonly<Record<EventsVersion, string>> = {
  v1: "watch-frames-corev1.jsonl.gz",
  "events.k8s.io/v1": "watch-frames-eventsv1.jsonl.gz"
}

/** 3,040 audit records, one JSON text each, in the order in which the API server wrote them. */
export const auditRecordLines = (): ReadonlyArray<string> => linesOf("audit-events.jsonl.gz")

/** The Events as a list call showed them, in one version. */
export const recordedEvents = (version: EventsVersion): ReadonlyArray<RecordedEvent> =>
  linesOf("kube-events.jsonl.gz")
    .map((line): RecordedEvent => JSON.parse(line))
    .filter((event) => event.apiVersion === version)

/** 1,109 frames of 666 Events, by rising resourceVersion: 666 ADDED, 225 MODIFIED, 218 DELETED. */
export const watchFrames = (version: EventsVersion): ReadonlyArray<WatchFrame> =>
  linesOf(frameFiles[version]).map((line): WatchFrame => JSON.parse(line))

const linesOf = (name: string): ReadonlyArray<string> =>
  gunzipSync(readFileSync(join(projectFolder, "test/data", name)))
    .toString("utf8")
    .split("\n")
    .filter((line) => line !== "")
