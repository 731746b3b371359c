/** The lines of a watch as frames. */
import type { KubeError, KubeObject, WatchFrame } from "./Kube.ts"
import { refused, unavailable } from "./kubeFailures.ts"

/** A longer frame is no object of a cluster: etcd takes 1.5 MiB. */
const frameBytesMax = 32 * 1024 * 1024

const newline = 0x0a

/** What one chunk brought: whole frames, and the failure behind them. */
export interface FramesRead {
  readonly frames: ReadonlyArray<WatchFrame>
  readonly failure: KubeError | undefined
}

/** Keeps the beginning of a frame whose end has not come yet. */
export class FrameReader {
  readonly #operation: string
  #parts: Array<Buffer> = []
  #partsBytes = 0

  constructor(operation: string) {
    this.#operation = operation
  }

  read(chunk: Buffer): FramesRead {
    const end = chunk.lastIndexOf(newline)
    if (end < 0) {
      this.#parts.push(chunk)
      this.#partsBytes += chunk.length
      return {
        frames: [],
        failure:
          this.#partsBytes > frameBytesMax
            ? unavailable(this.#operation, new Error(`a frame is larger than ${frameBytesMax} bytes`))
            : undefined
      }
    }
    const whole = chunk.subarray(0, end)
    const lines = (this.#parts.length === 0 ? whole : Buffer.concat([...this.#parts, whole])).toString("utf8")
    const rest = chunk.subarray(end + 1)
    this.#parts = rest.length === 0 ? [] : [rest]
    this.#partsBytes = rest.length
    return this.#framesFrom(lines)
  }

  #framesFrom(lines: string): FramesRead {
    const frames: Array<WatchFrame> = []
    for (const line of lines.split("\n")) {
      if (line === "") continue
      const frame = frameFrom(line)
      if (frame === undefined) {
        return { frames, failure: unavailable(this.#operation, new Error(`no frame: ${line.slice(0, 200)}`)) }
      }
      if (frame.type === "ERROR") {
        const code = typeof frame.status.code === "number" ? frame.status.code : 500
        return { frames, failure: refused(this.#operation, { code, status: frame.status }) }
      }
      frames.push(frame)
    }
    return { frames, failure: undefined }
  }
}

type Line = WatchFrame | { readonly type: "ERROR"; readonly status: { readonly code?: unknown } }

const frameFrom = (line: string): Line | undefined => {
  const parsed = parsedOf(line)
  if (typeof parsed !== "object" || parsed === null || !("type" in parsed) || !("object" in parsed)) return undefined
  const { object, type } = parsed
  if (typeof object !== "object" || object === null) return undefined
  if (type === "ERROR") return { type, status: object }
  // Objects are as the server sent them; that they have metadata is what makes them objects.
  const found = object as KubeObject
  if (typeof found.metadata !== "object" || found.metadata === null) return undefined
  if (type === "ADDED" || type === "MODIFIED" || type === "DELETED") return { type, object: found }
  if (type !== "BOOKMARK") return undefined
  return { type, resourceVersion: found.metadata.resourceVersion ?? "" }
}

const parsedOf = (line: string): unknown => {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
