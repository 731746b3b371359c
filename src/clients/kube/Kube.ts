/**
 * A Kubernetes API server: requests, lists in pages and watches.
 *
 * Credentials are read again when their files change, and when the server says 401. Nothing here retries but `follow`,
 * which never gives up; only what the server cannot have taken is sent once more by itself: a request that was 401 before
 * other credentials were at hand, a GET on a connection that the server had just closed.
 */
import type { Effect, Stream } from "effect"
import { Context, Schema } from "effect"

/** No answer, or an answer that was cut off. */
export class KubeUnavailable extends Schema.TaggedError<KubeUnavailable>()("KubeUnavailable", {
  operation: Schema.String,
  cause: Schema.Defect()
}) {
  readonly retryable = true

  override get message(): string {
    return `${this.operation}: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

/** The server answered with a Status, or with something that is none. */
export class KubeRefused extends Schema.TaggedError<KubeRefused>()("KubeRefused", {
  operation: Schema.String,
  code: Schema.Number,
  /** `NotFound`, `Conflict`, `Expired`, …; "" where the server named none. */
  kubeReason: Schema.String,
  description: Schema.String,
  /** From `Retry-After`; 0 where the server named none. */
  retryAfterSeconds: Schema.Number,
  /** The whole Status as it came; undefined where the body was none. */
  status: Schema.Unknown
}) {
  get retryable(): boolean {
    return this.code === 429 || this.code >= 500
  }

  override get message(): string {
    return `${this.operation}: ${this.description} (${this.code})`
  }
}

export class KubeError extends Schema.TaggedError<KubeError>()("KubeError", {
  reason: Schema.Union([KubeUnavailable, KubeRefused])
}) {
  get retryable(): boolean {
    return this.reason.retryable
  }

  override get message(): string {
    return this.reason.message
  }
}

export interface KubeRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE"
  /** With its query: `/api/v1/events?limit=500`. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  /** Texts and bytes go as they are, anything else as JSON. */
  readonly body?: unknown
}

export interface KubeAnswer {
  readonly status: number
  /** The first value, "" when it is absent. */
  readonly header: (name: string) => string
  /** Every value of a header that may be repeated, such as `Warning`. */
  readonly headers: (name: string) => ReadonlyArray<string>
  readonly body: Uint8Array
}

/** What every object has. The rest is as the server sent it. */
export interface KubeObject {
  readonly apiVersion?: string
  readonly kind?: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly uid?: string
    readonly resourceVersion?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly [field: string]: unknown
}

export interface ListPage {
  readonly items: ReadonlyArray<KubeObject>
  /** Of the whole list. */
  readonly resourceVersion: string
}

export type WatchFrame =
  | {
      readonly type: "ADDED" | "MODIFIED" | "DELETED"
      readonly object: KubeObject
    }
  | { readonly type: "BOOKMARK"; readonly resourceVersion: string }

export interface WatchOptions {
  /** "" begins with what there is. */
  readonly resourceVersion: string
  /** The server ends the watch after it; one that goes on for 15 s longer has stalled, and is cut. */
  readonly timeoutSeconds: number
  /** Run when the server has taken the watch, before its first frame. */
  readonly opened?: Effect.Effect<void>
}

export class Kube extends Context.Service<
  Kube,
  {
    /** `https://host:port`, for logs. */
    readonly server: string
    /** Any status is an answer; redirects are not followed. @fails KubeUnavailable alone */
    readonly send: (request: KubeRequest) => Effect.Effect<KubeAnswer, KubeError>
    /** The parsed JSON of a 2xx answer. @fails KubeRefused for every other status */
    readonly call: (request: KubeRequest) => Effect.Effect<unknown, KubeError>
    /**
     * Pages of 500, all of one resourceVersion; the next one is on its way while somebody is busy with one. `path` may
     * carry selectors. @fails KubeRefused 410 when it took too long
     */
    readonly list: (path: string) => Stream.Stream<ListPage, KubeError>
    /** Ends where the server ends it. An ERROR frame is {@link KubeRefused} with its code. Bookmarks are asked for. */
    readonly watch: (path: string, options: WatchOptions) => Stream.Stream<WatchFrame, KubeError>
  }
>()("activity/clients/kube/Kube") {}
