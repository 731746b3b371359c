/**
 * What `kubectl explain`, validation and code generators read: `/openapi/v3` with a document per version, and the one
 * document of `/openapi/v2`, all from the table of resources.
 *
 * kube-apiserver asks for version 2 every minute, as JSON, and merges it with its own. As protobuf only kubectl asks for
 * it, where there is no kube-apiserver between, and only before it takes a List: what it does not find there it leaves to
 * this server to check, so it is given a document without definitions.
 */
import { eventsApis } from "../../contracts/eventsApis.ts"
import { groupName, versions } from "../../contracts/resources.ts"
import type { Answer, Call } from "../http/Call.ts"
import { hashOf, taggedAnswer } from "../http/taggedAnswer.ts"
import { eventsDocument, type OpenApiDocument, openApiDocument } from "./openApiDocument.ts"
import { pathOf } from "./operations.ts"
import { swaggerFrom } from "./swaggerFrom.ts"

/** A document under its hash never changes. */
const immutableSeconds = 31_536_000

/**
 * Undefined when the path is none of OpenAPI's.
 *
 * @param tellsOfEvents whether the index of version 3 names Kubernetes' own Events too; version 2 never has them: a
 * kube-apiserver would take them for its own
 */
export const openApi = (call: Call, tellsOfEvents: boolean): Answer | undefined => {
  if (call.path === "/openapi/v2") {
    return tellsOfEvents && call.accepted.form._tag === "OpenApi"
      ? taggedAnswer(call, { text: bareDocument, contentType: protobufType })
      : jsonAnswer(call, onceMade("v2", swagger))
  }
  if (call.path === "/openapi/v3") {
    return tellsOfEvents
      ? jsonAnswer(
          call,
          onceMade("v3 with Events", () => index([...ownParts, ...eventParts]))
        )
      : jsonAnswer(
          call,
          onceMade("v3", () => index(ownParts))
        )
  }
  const part = [...ownParts, ...eventParts].find(({ path }) => call.path === `/openapi/v3/${path}`)
  return part === undefined ? undefined : partAnswer(call, part)
}

/** As kube-apiserver answers: what it is asked for by has an `@`, which no content type may have. */
const protobufType = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

/** A field of protobuf that is a text or a message; both are shorter than 128 bytes. */
const protobufField = (number: number, text: string): string =>
  `${String.fromCharCode(number * 8 + 2, text.length)}${text}`

/** `openapi.v2.Document` with its version and its title. */
const bareDocument =
  protobufField(1, "2.0") + protobufField(2, protobufField(1, "activity") + protobufField(2, versions[0]))

/** A version of a group: its own document. */
interface Part {
  readonly path: string
  readonly document: () => OpenApiDocument
}

const ownParts: ReadonlyArray<Part> = versions.map((version) => ({
  path: pathOf({ group: groupName, version }),
  document: () => openApiDocument(version)
}))

const eventParts: ReadonlyArray<Part> = eventsApis.map(({ group, version }) => ({
  path: pathOf({ group, version }),
  document: () => eventsDocument(group, version)
}))

interface Document {
  readonly text: string
  readonly hash: string
}

const made = new Map<string, Document>()

/** Documents are the same as long as the process lives, and some 100 KiB: each is made when it is first asked for. */
const onceMade = (name: string, make: () => unknown): Document => {
  const known = made.get(name)
  if (known !== undefined) return known
  const text = JSON.stringify(make())
  const created = { text, hash: hashOf(text) }
  made.set(name, created)
  return created
}

const documentOf = ({ document, path }: Part): Document => onceMade(path, document)

const swagger = () => swaggerFrom(versions.map(openApiDocument))

const location = (part: Part): string => `/openapi/v3/${part.path}?hash=${documentOf(part).hash}`

const index = (parts: ReadonlyArray<Part>) => ({
  paths: Object.fromEntries(parts.map((part) => [part.path, { serverRelativeURL: location(part) }]))
})

const partAnswer = (call: Call, part: Part): Answer => {
  const document = documentOf(part)
  const asked = call.query.get("hash")
  if (asked !== null && asked !== document.hash) {
    return { _tag: "Text", status: 301, contentType: "text/plain", text: "", headers: { location: location(part) } }
  }
  return jsonAnswer(
    call,
    document,
    asked === null ? {} : { "cache-control": `public, immutable, max-age=${immutableSeconds}` }
  )
}

const jsonAnswer = (call: Call, { hash, text }: Document, headers: Readonly<Record<string, string>> = {}): Answer =>
  taggedAnswer(call, { text, hash, contentType: "application/json", headers })
