/**
 * A plain reader of a list/watch server, for tests that need Events as they arrive. It is not the exporter: it keeps no
 * checkpoint and waits for nothing between tries.
 */
import { createInterface } from "node:readline"
import { Readable } from "node:stream"
import type { EventsVersion, RecordedEvent } from "./recordedData.ts"

export interface ObservedEvent {
  /** An object of a list counts as ADDED. */
  readonly type: "ADDED" | "MODIFIED" | "DELETED"
  readonly object: RecordedEvent
}

export interface ObserveOptions {
  readonly version?: EventsVersion
  readonly pageSize?: number
  /** Ends the reading; without it the reader goes on for ever. */
  readonly signal?: AbortSignal
}

interface Frame {
  readonly type: ObservedEvent["type"] | "BOOKMARK" | "ERROR"
  readonly object: RecordedEvent
}

interface Page {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string }
  readonly items: ReadonlyArray<Omit<RecordedEvent, "kind" | "apiVersion">>
}

/**
 * Lists, then watches, resumes a watch that ended, and lists again when its place was forgotten.
 *
 * At least once: an object that is listed again is yielded again, with the resourceVersion it had before.
 */
export async function* observeEvents(
  url: string,
  { version = "events.k8s.io/v1", pageSize = 500, signal }: ObserveOptions = {}
): AsyncGenerator<ObservedEvent> {
  const resource = `${url}/${version === "v1" ? "api/v1" : `apis/${version}`}/events`
  const fetched = (query: string) => fetch(`${resource}?${query}`, signal === undefined ? {} : { signal })
  try {
    for (;;) {
      let place = ""
      let next: string | undefined = ""
      while (next !== undefined) {
        const response = await fetched(`limit=${pageSize}&continue=${encodeURIComponent(next)}`)
        if (response.status === 410) {
          next = ""
          continue
        }
        if (!response.ok) throw new Error(`${resource} answered ${response.status} ${await response.text()}`)
        const page = (await response.json()) as Page // The server is ours.
        for (const item of page.items) {
          // A list's items leave out what the list says once, and the rest of the type is then known to be there.
          yield { type: "ADDED", object: { kind: "Event", apiVersion: version, ...item } as RecordedEvent }
        }
        place = page.metadata.resourceVersion
        next = page.metadata.continue
      }
      let known = true
      while (known) {
        const response = await fetched(`watch=true&allowWatchBookmarks=true&resourceVersion=${place}`)
        // `body` is null only for answers that cannot have one.
        const lines = createInterface({ input: Readable.fromWeb(response.body as never), crlfDelay: Infinity })
        try {
          for await (const line of lines) {
            const frame: Frame = JSON.parse(line)
            if (frame.type === "ERROR") {
              known = false
              break
            }
            place = frame.object.metadata.resourceVersion
            if (frame.type !== "BOOKMARK") yield { type: frame.type, object: frame.object }
          }
        } catch (cause) {
          // A cut connection ends a watch as a timeout does.
          if (signal?.aborted === true) throw cause
        } finally {
          lines.close()
        }
      }
    }
  } catch (cause) {
    if (signal?.aborted !== true) throw cause
  }
}
