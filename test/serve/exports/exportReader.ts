/** A client of exports: it keeps what stands before a mark, and goes on from there when it was cut. */
import type { IncomingMessage } from "node:http"
import { request as send } from "node:https"
import { group, type Api, type UserName } from "../apiFixture.ts"

export interface ExportRequest {
  readonly user: UserName
  readonly plural: string
  readonly kind: string
  readonly spec: object
  readonly accept?: string
  /** Parameters, with their `?`. */
  readonly query?: string
}

export interface OpenExport {
  readonly status: number
  readonly headers: IncomingMessage["headers"]
  /** Piece by piece; taking none holds the server back. Ends, or fails where the connection was cut. */
  readonly body: IncomingMessage
}

/** Answers when the headers are there. */
export const openExport = (
  api: Pick<Api, "url" | "authority">,
  { accept = "application/jsonl", kind, plural, query = "", spec, user }: ExportRequest
): Promise<OpenExport> =>
  new Promise((resolve, reject) => {
    const body = JSON.stringify({ apiVersion: "activity.miloapis.com/v1alpha1", kind, metadata: {}, spec })
    const sending = send(
      `${api.url}${group}/${plural}${query}`,
      {
        method: "POST",
        ca: api.authority,
        headers: { authorization: `Bearer token-${user}`, "content-type": "application/json", accept }
      },
      (answer) => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: answer.setEncoding("utf8") })
    )
    sending.on("error", reject)
    sending.end(body)
  })

export interface ReadExport {
  readonly text: string
  /** The body had its end; false: it was cut, by whomever. */
  readonly whole: boolean
}

const markBegins = '\n{"kind":"ExportMark"'

/** Takes an export until it ends, or, of lines of JSON, until so many marks have come: then the connection is cut. */
export const readExport = async ({ body }: OpenExport, marksMax = Number.POSITIVE_INFINITY): Promise<ReadExport> => {
  let text = ""
  let marks = 0
  let tail = ""
  try {
    for await (const piece of body) {
      // Its encoding is set.
      const taken = piece as string
      text += taken
      marks += (tail + taken).split(markBegins).length - 1
      tail = (tail + taken).slice(-markBegins.length + 1)
      if (marks >= marksMax) break
    }
  } catch {
    return { text, whole: false }
  }
  return { text, whole: body.complete }
}

export interface Mark {
  readonly kind: "ExportMark"
  readonly rows: number
  readonly continue?: string
  readonly complete?: true
  readonly reachedTime?: string
}

// What a server sends has no type here; tests look at single fields.
type Fact = ReturnType<typeof JSON.parse>

export interface Kept {
  /** All before the last mark. */
  readonly facts: ReadonlyArray<Fact>
  readonly mark: Mark | undefined
}

/** What a client may keep of lines of JSON. */
export const keptOf = (text: string): Kept => {
  // Behind the last line break is nothing, or a part of a line.
  const lines = text.split("\n").slice(0, -1)
  const last = lines.findLastIndex((line) => line.startsWith('{"kind":"ExportMark"'))
  const facts = lines
    .slice(0, last + 1)
    .map((line): Fact => JSON.parse(line))
    .filter(({ kind }) => kind !== "ExportMark")
  return { facts, mark: last < 0 ? undefined : JSON.parse(lines[last] ?? "") }
}
