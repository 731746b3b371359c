/** One page of a list, as an API server answers it. */
import { Result } from "effect"
import type { KubeError, KubeObject, ListPage } from "./Kube.ts"
import { unavailable } from "./kubeFailures.ts"

export interface ListPageFound extends ListPage {
  /** What asks for the next page; "" behind the last. */
  readonly next: string
}

/**
 * Items without metadata, which no API server sends, become objects whose name is "": they may not end a list.
 *
 * @fails KubeUnavailable when it is no list: somebody between us and the API server said something else
 */
export const listPageFrom = (operation: string, answer: unknown): Result.Result<ListPageFound, KubeError> => {
  // What is looked at below is not believed.
  const { items, metadata } = (answer ?? {}) as {
    readonly items?: unknown
    readonly metadata?: { readonly resourceVersion?: unknown; readonly continue?: unknown } | null
  }
  const resourceVersion = metadata?.resourceVersion
  if ((!Array.isArray(items) && items !== null) || typeof resourceVersion !== "string" || resourceVersion === "") {
    return Result.fail(unavailable(operation, new Error("the answer is no list")))
  }
  const objects: ReadonlyArray<unknown> = items ?? []
  const next = metadata?.continue
  return Result.succeed({
    items: objects.map(objectFrom),
    resourceVersion,
    next: typeof next === "string" ? next : ""
  })
}

/** Whether a resourceVersion is before another. Those that are no decimal numbers have no order. */
export const isLower = (one: string, other: string): boolean =>
  isDecimal(one) && isDecimal(other) && BigInt(one) < BigInt(other)

/** Whether it is known to be not before another. */
export const isAtLeast = (one: string, other: string): boolean =>
  isDecimal(one) && isDecimal(other) && BigInt(one) >= BigInt(other)

const isDecimal = (text: string): boolean => /^\d{1,19}$/.test(text)

const objectFrom = (item: unknown): KubeObject => {
  if (typeof item !== "object" || item === null) return { metadata: nameless }
  // Objects are as the server sent them; that they have metadata is what makes them objects.
  const found = item as KubeObject
  return typeof found.metadata === "object" && found.metadata !== null ? found : { ...found, metadata: nameless }
}

const nameless = { name: "" } as const
