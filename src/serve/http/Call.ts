/** One request, as the handlers see it, and what they may answer. */
import type { Effect, Stream } from "effect"
import type { ApiFailure } from "../ApiFailure.ts"
import type { User } from "../auth/Authenticator.ts"
import type { Accepted } from "./accept.ts"
import type { RequestInfo, ResourceAttributes } from "./RequestInfo.ts"

export interface Call {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  /** The header's first value, "" when it is absent. */
  readonly header: (name: string) => string
  readonly info: RequestInfo
  readonly accepted: Accepted
  readonly user: User
  /**
   * For what a request turns out to do besides what it says: an apply that creates.
   *
   * @fails ApiFailure Forbidden when the caller may not do that too
   */
  readonly authorize: (attributes: ResourceAttributes) => Effect.Effect<void, ApiFailure>
  /** The whole body, within {@link bodySizeBytesMax}. */
  readonly body: Effect.Effect<Buffer, ApiFailure>
  /** Ends when the client has gone: nobody will read the answer. */
  readonly gone: Effect.Effect<void>
}

/** Bytes, as kube-apiserver takes. */
export const bodySizeBytesMax = 3 * 1024 * 1024

export type Answer =
  | {
      readonly _tag: "Value"
      readonly status: number
      /** Written as JSON, or as YAML where the client prefers it. */
      readonly value: unknown
      readonly headers?: Readonly<Record<string, string>>
      /** Texts of `Warning: 299` headers. */
      readonly warnings?: ReadonlyArray<string>
    }
  | {
      readonly _tag: "Text"
      readonly status: number
      readonly contentType: string
      readonly text: string
      readonly headers?: Readonly<Record<string, string>>
      /** Texts of `Warning: 299` headers. */
      readonly warnings?: ReadonlyArray<string>
    }
  | {
      readonly _tag: "Chunks"
      readonly contentType: string
      /** Written as the client takes them. A failure cuts the connection: the client must not take it for the end. */
      readonly chunks: Stream.Stream<string, ApiFailure>
      /** Send each chunk at once: a watch. */
      readonly live: boolean
      /** Texts of `Warning: 299` headers. */
      readonly warnings?: ReadonlyArray<string>
    }

export const value = (body: unknown, status = 200, warnings: ReadonlyArray<string> = []): Answer => ({
  _tag: "Value",
  status,
  value: body,
  warnings
})
