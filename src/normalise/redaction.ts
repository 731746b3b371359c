/**
 * Redaction: what is secret leaves a fact before anything else sees it.
 *
 * Redacted are Secrets (in objects, lists, tables, merge patches and JSON patches) but for their metadata and type, and
 * the copies of them in their annotations, strings under keys such as `password` and `token` (a TokenRequest's and a TokenReview's among them),
 * values of variables and headers of such names, what `secretText.ts` recognises in any string, and the paths of
 * configured rules. Where a key stands twice nothing tells what the API server made of it: the bodies are redacted whole.
 * The keys stay, so that it can be seen what was changed. Everything else stays byte for byte what
 * was sent. What is ordinary is passed by a search for traces, without being parsed.
 */
import { Result } from "effect"
import { isJsonObject, type Json, type JsonObject, objectAt, textAt } from "../domain/AuditRecord.ts"
import { colonAfter, isSpace, literalEnd, stringEnd } from "../domain/jsonText.ts"
import { jsonFrom, jsonObjectFrom } from "./jsonObjectFrom.ts"
import {
  elementOf,
  isReference,
  isSecretObject,
  outside,
  type Path,
  type Place,
  placeBeneath,
  placeInObject,
  placeOf,
  placeOfObject,
  placeOfPointer,
  type Standing
} from "./redactionPlace.ts"
import type { RedactionRule } from "./redactionRule.ts"
import {
  isSecretArgument,
  isSecretFlag,
  isSecretKey,
  isSecretVariable,
  isSetting,
  mayHoldSecrets,
  type Redacted,
  redactedText,
  withoutSecrets,
  withoutUriSecrets
} from "./secretText.ts"

export interface Redaction {
  /** The JSON text of an audit record. What is no JSON object is returned as it came: see `withoutWords`. */
  readonly record: (text: string) => RedactedRecord
  /** The JSON text of a Kubernetes object, an Event for one. */
  readonly object: (text: string, of: { readonly apiGroup: string; readonly resource: string }) => Redacted
}

export interface RedactedRecord extends Redacted {
  /** What `text` says, where it is known already. */
  readonly body?: JsonObject
}

export const redactionBy = (rules: ReadonlyArray<RedactionRule>): Redaction => {
  const pathsOf = (apiGroup: string, resource: string): ReadonlyArray<Path> =>
    rules
      .filter(
        (rule) =>
          (rule.resource === "*" || rule.resource === resource) &&
          (rule.apiGroup === undefined || rule.apiGroup === apiGroup)
      )
      .map(({ path }) => path)
  const named = rules.map(({ resource }) => resource)
  /** No trace of a secret, and of no resource that a rule names. */
  const isOrdinary = (text: string): boolean =>
    !mayHoldSecrets(text) &&
    !secretTrace.test(text) &&
    !named.some((resource) => resource === "*" || text.includes(resource))
  return {
    record: (text) => {
      if (isOrdinary(text)) return { text, count: 0 }
      const parsed = jsonObjectFrom(text)
      if (Result.isFailure(parsed)) return { text, count: 0 }
      const body = parsed.success
      const reference = objectAt(body, "objectRef")
      const resource = textAt(reference, "resource")
      const apiGroup = textAt(reference, "apiGroup")
      const secret = (resource === "secrets" && apiGroup === "") || secretsUri.test(textAt(body, "requestURI"))
      const root: Place = { ...outside, secret, paths: pathsOf(apiGroup, resource) }
      const redacted = spliced(text, body, "envelope", root)
      return redacted.count === 0 ? { ...redacted, body } : redacted
    },
    object: (text, { apiGroup, resource }) => {
      const paths = pathsOf(apiGroup, resource)
      if (paths.length === 0 && isOrdinary(text)) return { text, count: 0 }
      const parsed = jsonObjectFrom(text)
      if (Result.isFailure(parsed)) return { text, count: 0 }
      return spliced(text, parsed.success, "root", { ...outside, paths })
    }
  }
}

/**
 * A Secret is named by its resource, its kind or its path; a folder of each pod is named alike. Letters that were
 * written as escapes (nobody's encoder does that) may hide anything, so such a text is looked at too.
 */
const secretTrace = /secrets["/?](?<!\/run\/secrets\/)|"Secret(?:List)?\\?"|\\u00(?:[46][1-9a-fA-F]|[57][0-9aA])/

const secretsUri = /^\/api\/v1\/(?:watch\/)?(?:namespaces\/[^/?]+\/)?secrets(?:[/?]|$)/

/** What an object or a list is, as far as it decides where its values stand. */
type Role = "envelope" | "root" | "items" | "rows" | "row" | "patch" | "operation" | "value"

/** An object or a list that is being read. */
interface Frame {
  /** As it was parsed; undefined where keys stood twice and do not tell. */
  readonly value: Json | undefined
  readonly role: Role
  readonly place: Place
  /** Of the value that comes next. */
  key: string
  index: number
  /** That were read. */
  keys: number
}

/** Texts in texts are followed so deep: a copy in an annotation of a copy. */
const nestedMax = 3

/** Reads the text of `value` once, and notes what comes in place of what. */
const spliced = (text: string, value: Json, role: Role, root: Place, nested = 0): Redacted => {
  const kept: Array<string> = []
  let keptTo = 0
  let count = 0
  let hasKeyTwice = false
  const put = (from: number, to: number, { count: places, text: replacement }: Redacted): void => {
    kept.push(text.slice(keptTo, from), replacement)
    keptTo = to
    count += places
  }
  const stack: Array<Frame> = []
  let frame: Frame | undefined
  let at = 0
  while (at < text.length) {
    const character = text[at]
    if (character === "{" || character === "[") {
      frame = frame === undefined ? firstFrame(value, role, root) : frameIn(frame, root)
      stack.push(frame)
      at++
    } else if (character === "}" || character === "]") {
      if (isJsonObject(frame?.value) && Object.keys(frame.value).length !== frame.keys) hasKeyTwice = true
      stack.pop()
      frame = stack.at(-1)
      at++
    } else if (character === ",") {
      if (frame !== undefined) frame.index++
      at++
    } else if (character === '"') {
      const end = stringEnd(text, at)
      const colon = colonAfter(text, end)
      if (frame !== undefined && colon >= 0) {
        frame.key = decoded(text.slice(at, end))
        frame.keys++
        at = colon + 1
        continue
      }
      const found = frame === undefined ? undefined : redactedString(text.slice(at, end), frame, root, nested)
      if (found !== undefined) put(at, end, found)
      at = end
    } else if (isSpace(character)) {
      at++
    } else {
      // A number, true, false or null. That something was removed is no secret.
      const end = literalEnd(text, at)
      if (character !== "n" && frame !== undefined && isSecretLiteral(text.slice(at, end), placeIn(frame, root))) {
        put(at, end, { text: `"${redactedText}"`, count: 1 })
      }
      at = end
    }
  }
  // The API server writes no key twice; what a client sent as a patch is kept as it was sent.
  if (hasKeyTwice && !root.whole && (role === "envelope" || nested > 0)) {
    return spliced(text, value, role, { ...root, whole: true, secret: true }, nested)
  }
  if (count === 0) return { text, count }
  kept.push(text.slice(keptTo))
  return { text: kept.join(""), count }
}

const firstFrame = (value: Json, role: Role, root: Place): Frame => ({
  value,
  role,
  place: role === "envelope" ? outside : placeOfObject(root, value),
  key: "",
  index: 0,
  keys: 0
})

/** The object or list that opens at the place where `parent` stands. */
const frameIn = (parent: Frame, root: Place): Frame => {
  const value = childOf(parent)
  const { key, place } = placeIn(parent, root)
  return {
    value,
    role: roleIn(parent, value),
    place: placeOfObject(parent.role === "envelope" ? place : placeBeneath(place, key), value),
    key: "",
    index: 0,
    keys: 0
  }
}

const childOf = (frame: Frame): Json | undefined => {
  const { index, key, value } = frame
  if (isJsonObject(value)) return Object.hasOwn(value, key) ? value[key] : undefined
  return isList(value) ? value[index] : undefined
}

const isList = (value: Json | undefined): value is ReadonlyArray<Json> => Array.isArray(value)

const bodyKeys = new Set(["requestObject", "responseObject"])

const roleIn = (parent: Frame, value: Json | undefined): Role => {
  switch (parent.role) {
    case "envelope":
      return !bodyKeys.has(parent.key) ? "value" : isList(value) ? "patch" : "root"
    case "root":
      if (parent.key === "items" && textAt(parent.value, "kind").endsWith("List")) return "items"
      return parent.key === "rows" && textAt(parent.value, "kind") === "Table" ? "rows" : "value"
    case "items":
      return "root"
    case "rows":
      return "row"
    case "row":
      return parent.key === "object" ? "root" : "value"
    case "patch":
      return "operation"
    case "operation":
    case "value":
      return isSecretObject(value) ? "root" : "value"
  }
}

/** The place of the value that `frame` stands at, and the name that it has there. */
const placeIn = (frame: Frame, root: Place): Standing => {
  const { key, place, role, value } = frame
  switch (role) {
    case "envelope":
      return { place: bodyKeys.has(key) ? root : outside, key }
    case "root":
      // What a list or a table says of itself is not the object.
      return /^(?:items|rows)$/.test(key) && roleIn(frame, undefined) !== "value"
        ? { place, key }
        : { place: placeInObject(place, value, key), key }
    case "row":
      return { place, key }
    case "items":
    case "rows":
    case "patch":
      // A text where an object should be.
      return {
        place: isObjectOrList(childOf(frame)) ? place : { ...place, whole: place.whole || place.secret },
        key: ""
      }
    case "operation":
      return placeInOperation(frame)
    case "value":
      return isJsonObject(value)
        ? { place: placeOf(place, key), key }
        : { place: elementOf(place, frame.index), key: "" }
  }
}

const isObjectOrList = (value: Json | undefined): boolean => isJsonObject(value) || isList(value)

const placeInOperation = (frame: Frame): Standing => {
  const { key, place, value } = frame
  if (key === "op" || key === "path" || key === "from") return { place: outside, key }
  const pointer = textAt(value, "path")
  const whole = { place: { ...place, whole: place.whole || place.secret }, key }
  if (key !== "value") return whole
  // The empty pointer is the object itself; any other begins with a slash.
  const isPointer = pointer === "" ? isJsonObject(childOf(frame)) : pointer.startsWith("/")
  return isPointer || !place.secret ? placeOfPointer(place, pointer) : whole
}

/** A number below a key such as `password` may be one. */
const isSecretLiteral = (literal: string, { key, place }: Standing): boolean =>
  place.whole || (/^\d{4,}$/.test(literal) && (isSecretKey(key) || (place.named && !isReference(key))))

/** @param literal with its quotes. @returns undefined when it stays */
const redactedString = (literal: string, frame: Frame, root: Place, nested: number): Redacted | undefined => {
  const { key, place } = placeIn(frame, root)
  const value = decoded(literal)
  if (value === "" || value === redactedText) return undefined
  // A body that is no object is one in another notation.
  const isBody = frame.role === "envelope" && bodyKeys.has(key)
  if (place.whole || (isBody && place.secret)) return secret
  if (frame.role !== "envelope" && isSecretValue(value, key, place, frame)) return secret
  // Old API servers quote what they cannot read.
  if (root.secret && key === "message" && /error found in #|bigger context/.test(value)) return secret
  // What an admission webhook changed, as operations in a text.
  const isChange = key.startsWith("patch.webhook.admission.k8s.io/")
  if (isChange && (root.secret || root.paths.length > 0)) return secret
  if (value.length < shortestSecret) return undefined
  const isUri = frame.role === "envelope" && key === "requestURI"
  const found = isUri
    ? withoutUriSecrets(value)
    : ((nested < nestedMax ? redactedCopy(value, key, root, nested) : undefined) ?? withoutSecrets(value))
  return found.count === 0 ? undefined : { text: JSON.stringify(found.text), count: found.count }
}

const secret: Redacted = { text: `"${redactedText}"`, count: 1 }

/** Nothing that is shorter is recognised inside a text: `pwd=x`. */
const shortestSecret = 5

const isSecretValue = (value: string, key: string, place: Place, { index, value: parent }: Frame): boolean => {
  // The authenticator's own annotations speak of tokens; none is one.
  if (isSecretKey(key) && !isSetting(value) && !key.startsWith("authentication.k8s.io/")) return true
  if (key === "value" && isSecretVariable(textAt(parent, "name")) && !isSetting(value)) return true
  if (place.named && !isReference(key) && !isSetting(value)) return true
  const before = isList(parent) ? parent[index - 1] : undefined
  if (typeof before === "string" && isSecretFlag(before) && isSecretArgument(value)) return true
  // Tools keep a copy of what they applied, as JSON or compressed in base64.
  return (
    place.secret &&
    place.within === "annotations" &&
    (/^\s*[{[]|^H4sI|^UEsD|^eJ/.test(value) || /last-applied/.test(key))
  )
}

/** A text that is an object or a list itself, as the annotation of `kubectl apply`: its own places count. */
const redactedCopy = (text: string, key: string, root: Place, nested: number): Redacted | undefined => {
  if (!/^\s*[{[]/.test(text)) return undefined
  const parsed = jsonFrom(text)
  if (Result.isFailure(parsed)) return undefined
  const copy = parsed.success
  const isPatch = isList(copy) && copy.some((operation) => textAt(operation, "op") !== "")
  const role = isPatch ? "patch" : isList(copy) ? "items" : "root"
  return spliced(text, copy, role, key.endsWith("last-applied-configuration") ? root : outside, nested + 1)
}

// The text was parsed before, so each of its strings is one.
const decoded = (literal: string): string =>
  literal.includes("\\") ? (JSON.parse(literal) as string) : literal.slice(1, -1)
