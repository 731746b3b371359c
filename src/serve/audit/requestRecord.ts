/**
 * A request of this API as an audit record, as kube-apiserver would have written it (audit.k8s.io/v1 Event).
 *
 * Its level is Metadata; of what is created or changed it holds the request's body too, where that is JSON and no larger
 * than {@link requestObjectSizeBytesMax} (level Request). Answers are not in it.
 *
 * @source https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/
 * @decision 0023-own-requests
 */
import { Cause, Exit, Option, Result } from "effect"
import type { IncomingMessage } from "node:http"
import type { OutgoingMessage } from "../../clients/nats/Nats.ts"
import { resources } from "../../contracts/resources.ts"
import { type Json, objectAt, textAt } from "../../domain/AuditRecord.ts"
import { auditRecordKey } from "../../domain/identity.ts"
import { timestampText } from "../../domain/instant.ts"
import { headerNames } from "../../domain/streams.ts"
import { auditSubject } from "../../domain/subject.ts"
import type { ApiFailure } from "../ApiFailure.ts"
import type { User } from "../auth/Authenticator.ts"
import type { Answer } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"

/** A policy has some KiB. */
const requestObjectSizeBytesMax = 16 * 1024

/** A sentence of an answer; longer ones repeat what was sent. */
const messageLengthMax = 1_024

export interface AnsweredRequest {
  readonly auditID: string
  readonly request: IncomingMessage
  readonly info: ResourceRequest
  readonly user: User
  readonly receivedMillis: number
  readonly answeredMillis: number
  /** What was read of the body. */
  readonly body: Buffer | undefined
  /** The media type in which all of what a query finds was asked for. */
  readonly exportedAs: string | undefined
  readonly exit: Exit.Exit<Answer, ApiFailure>
}

/** Says of a query's creation that not a page but all was asked for, and as what: its objectRef would not tell. */
const exportAnnotation = "activity.miloapis.com/export"

/** Why dead letters were discarded: a body that is YAML, or names thousands of them, is not in the record. */
const reasonAnnotation = "activity.miloapis.com/discard-reason"

const readingVerbs: ReadonlySet<string> = new Set(["get", "list", "watch"])

/** Resources that can be created and nothing else: creating one only asks. */
const questions: ReadonlySet<string> = new Set(
  resources
    .filter(
      ({ subresources, verbs }) => verbs.every((verb) => verb === "create") && Object.keys(subresources).length === 0
    )
    .map(({ plural }) => plural)
)

/** False: it reads, however it is spelled. */
export const isChange = ({ resource, verb }: ResourceRequest): boolean =>
  !readingVerbs.has(verb) && !(verb === "create" && questions.has(resource))

/** As the collector would publish it. */
export const requestRecord = (cluster: string, answered: AnsweredRequest): OutgoingMessage => {
  const { auditID, info, request, user } = answered
  const requestURI = request.url ?? "/"
  const requestReceivedTimestamp = microTime(answered.receivedMillis)
  const requestObject = requestObjectOf(answered)
  const annotations = annotationsOf(answered)
  // A watch goes on when this is written.
  const stage = info.verb === "watch" && Exit.isSuccess(answered.exit) ? "ResponseStarted" : "ResponseComplete"
  const record = {
    kind: "Event",
    apiVersion: "audit.k8s.io/v1",
    level: requestObject === undefined ? "Metadata" : "Request",
    auditID,
    stage,
    requestURI,
    verb: info.verb,
    user: {
      username: user.name,
      ...(user.uid === "" ? {} : { uid: user.uid }),
      groups: user.groups,
      ...(Object.keys(user.extra).length === 0 ? {} : { extra: user.extra })
    },
    sourceIPs: sourceIPsOf(request, user),
    userAgent: request.headers["user-agent"] ?? "",
    objectRef: {
      resource: info.resource,
      ...(info.namespace === "" ? {} : { namespace: info.namespace }),
      ...(info.name === "" ? {} : { name: info.name }),
      apiGroup: info.group,
      apiVersion: info.version,
      ...(info.subresource === "" ? {} : { subresource: info.subresource })
    },
    responseStatus: responseStatusOf(answered.exit),
    ...(requestObject === undefined ? {} : { requestObject }),
    requestReceivedTimestamp,
    stageTimestamp: microTime(answered.answeredMillis),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations })
  }
  return {
    subject: auditSubject(cluster),
    id: auditRecordKey({
      cluster,
      auditID,
      stage,
      requestReceivedTimestamp,
      username: user.name,
      verb: info.verb,
      requestURI
    }),
    body: Buffer.from(JSON.stringify(record)),
    headers: { [headerNames.cluster]: cluster }
  }
}

const annotationsOf = ({ exit, exportedAs, info }: AnsweredRequest): Readonly<Record<string, string>> => {
  const isDiscarded = info.subresource === "discard" && Exit.isSuccess(exit) && exit.value._tag === "Value"
  return {
    ...(exportedAs === undefined ? {} : { [exportAnnotation]: exportedAs }),
    // The answer is JSON, as every one is.
    ...(isDiscarded ? { [reasonAnnotation]: textAt(objectAt(exit.value.value as Json, "spec"), "reason") } : {})
  }
}

const microTime = (millis: number): string => timestampText(BigInt(millis) * 1_000n)

const requestObjectOf = ({ body, info }: AnsweredRequest): unknown => {
  if (body === undefined || body.length === 0 || body.length > requestObjectSizeBytesMax) return undefined
  if (readingVerbs.has(info.verb)) return undefined
  return Result.getOrUndefined(Result.try((): unknown => JSON.parse(body.toString("utf8"))))
}

const responseStatusOf = (exit: AnsweredRequest["exit"]): object => {
  if (Exit.isSuccess(exit)) return { metadata: {}, code: exit.value._tag === "Chunks" ? 200 : exit.value.status }
  const refused = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  return refused === undefined
    ? { metadata: {}, status: "Failure", reason: "InternalError", code: 500 }
    : {
        metadata: {},
        status: "Failure",
        message: refused.text.slice(0, messageLengthMax),
        reason: refused.reason,
        code: refused.code
      }
}

/**
 * Whom the connection is with, behind whom kube-apiserver had it from. Nobody else's word is taken for where a request
 * came from.
 */
const sourceIPsOf = (request: IncomingMessage, { isPassedOn }: User): ReadonlyArray<string> => {
  const peer = (request.socket.remoteAddress ?? "").replace(/^::ffff:/, "")
  const told =
    isPassedOn === true
      ? String(request.headers["x-forwarded-for"] ?? "")
          .split(",")
          .map((address) => address.trim())
          .filter((address) => address !== "" && address !== peer)
      : []
  return [...told, ...(peer === "" ? [] : [peer])]
}
