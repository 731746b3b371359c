/**
 * What `kubectl explain`, validation and code generators read: `/openapi/v3` with a document per version, and the one
 * document of `/openapi/v2`, all from the table of resources.
 *
 * kube-apiserver asks for version 2 every minute and merges it with its own; it makes the protobuf form for clients by
 * itself, so only JSON is given here.
 */
import { groupName, type Version, versions } from "../../contracts/resources.ts"
import type { Answer, Call } from "../http/Call.ts"
import { hashOf, taggedAnswer } from "../http/taggedAnswer.ts"
import { openApiDocument } from "./openApiDocument.ts"
import { swaggerFrom } from "./swaggerFrom.ts"

/** A document under its hash never changes. */
const immutableSeconds = 31_536_000

/** Undefined when the path is none of OpenAPI's. */
export const openApi = (call: Call): Answer | undefined => {
  if (call.path === "/openapi/v2") return jsonAnswer(call, onceMade("v2", swagger))
  if (call.path === "/openapi/v3") return jsonAnswer(call, onceMade("v3", index))
  const version = versions.find((known) => call.path === `/openapi/v3/${pathOf(known)}`)
  return version === undefined ? undefined : versionAnswer(call, version)
}

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

const documentOf = (version: Version): Document => onceMade(version, () => openApiDocument(version))

const swagger = () => swaggerFrom(versions.map(openApiDocument))

const pathOf = (version: Version): string => `apis/${groupName}/${version}`

const location = (version: Version): string => `/openapi/v3/${pathOf(version)}?hash=${documentOf(version).hash}`

const index = () => ({
  paths: Object.fromEntries(versions.map((version) => [pathOf(version), { serverRelativeURL: location(version) }]))
})

const versionAnswer = (call: Call, version: Version): Answer => {
  const document = documentOf(version)
  const asked = call.query.get("hash")
  if (asked !== null && asked !== document.hash) {
    return { _tag: "Text", status: 301, contentType: "text/plain", text: "", headers: { location: location(version) } }
  }
  return jsonAnswer(
    call,
    document,
    asked === null ? {} : { "cache-control": `public, immutable, max-age=${immutableSeconds}` }
  )
}

const jsonAnswer = (call: Call, { hash, text }: Document, headers: Readonly<Record<string, string>> = {}): Answer =>
  taggedAnswer(call, { text, hash, contentType: "application/json", headers })
