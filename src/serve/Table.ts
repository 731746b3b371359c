/** Tables, as `kubectl get` asks for them, and the other forms in which objects are given. */
import type { Form } from "./http/accept.ts"
import type { Call } from "./http/Call.ts"
import { apiVersionOf, type ResourceRequest } from "./http/RequestInfo.ts"

export interface Column<A> {
  readonly name: string
  readonly type: "string" | "integer" | "date"
  readonly format?: "name"
  readonly description: string
  /** Above 0: only with `-o wide`. */
  readonly priority: 0 | 1
  readonly cell: (object: A) => string | number
}

export interface ObjectLike {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: object
}

export type IncludeObject = "None" | "Metadata" | "Object"

export const includeObjectFrom = (text: string | null): IncludeObject =>
  text === "None" || text === "Object" ? text : "Metadata"

/** How one kind's objects are given in the form that the client asked for. */
export interface Printer<A extends ObjectLike> {
  /** The content type of answers and watches. */
  readonly contentType: string
  readonly one: (object: A) => unknown
  readonly list: (objects: ReadonlyArray<A>, metadata: ListMetadata) => unknown
  /** One of the objects in `list`. */
  readonly item: (object: A) => unknown
  /** The object of a watch's frame. Tables have their columns in the first frame only. */
  readonly frame: (object: A) => unknown
  /**
   * Printers of this name give the same frame of the same object. Undefined: the frame is this printer's alone, as a
   * Table's is, which tells an age and may be the first one.
   */
  readonly framesName: string | undefined
  /** The object of a bookmark. */
  readonly bookmark: (resourceVersion: string, annotations?: Readonly<Record<string, string>>) => unknown
}

export interface ListMetadata {
  readonly resourceVersion: string
  readonly continue?: string
  readonly remainingItemCount?: number
}

/** Gives objects of a kind in the form, and with the version, that the caller asked for. */
export const printerFor = <A extends ObjectLike>(
  call: Call,
  request: ResourceRequest,
  kind: string,
  columns: ReadonlyArray<Column<A>>
): Printer<A> =>
  printerIn(
    call.accepted.form,
    columns,
    { apiVersion: apiVersionOf(request), kind },
    includeObjectFrom(call.query.get("includeObject"))
  )

export const printerIn = <A extends ObjectLike>(
  form: Form,
  columns: ReadonlyArray<Column<A>>,
  kind: { readonly apiVersion: string; readonly kind: string },
  include: IncludeObject
): Printer<A> => {
  switch (form._tag) {
    case "Table": {
      const meta = `meta.k8s.io/${form.version}`
      const definitions = columns.map(({ description, format, name, priority, type }) => ({
        name,
        type,
        format: format ?? "",
        description,
        priority
      }))
      const row = (object: A) => ({
        cells: columns.map((column) => column.cell(object)),
        ...(include === "None" ? {} : { object: include === "Object" ? object : metadataOf(object) })
      })
      const table = (metadata: object, rows: ReadonlyArray<unknown>, withColumns = true) => ({
        kind: "Table",
        apiVersion: meta,
        metadata,
        columnDefinitions: withColumns ? definitions : null,
        rows
      })
      let frames = 0
      return {
        contentType: "application/json",
        one: (object) => table(resourceVersionOf(object), [row(object)]),
        list: (objects, metadata) => table(metadata, objects.map(row)),
        item: row,
        frame: (object) => table(resourceVersionOf(object), [row(object)], frames++ === 0),
        framesName: undefined,
        bookmark: (resourceVersion, annotations) =>
          table(
            { resourceVersion },
            [
              {
                cells: columns.map((column) => (column.type === "integer" ? 0 : "")),
                object: { ...partial, metadata: bookmarkMetadata(resourceVersion, annotations) }
              }
            ],
            frames++ === 0
          )
      }
    }
    case "Metadata":
      return {
        contentType: "application/json",
        one: metadataOf,
        list: (objects, metadata) => ({
          kind: "PartialObjectMetadataList",
          apiVersion: partial.apiVersion,
          metadata,
          items: objects.map(metadataOf)
        }),
        item: metadataOf,
        frame: metadataOf,
        framesName: "metadata",
        bookmark: (resourceVersion, annotations) => ({
          ...partial,
          metadata: bookmarkMetadata(resourceVersion, annotations)
        })
      }
    default:
      return {
        contentType: "application/json",
        one: (object) => object,
        list: (objects, metadata) => ({
          kind: `${kind.kind}List`,
          apiVersion: kind.apiVersion,
          metadata,
          items: objects
        }),
        item: (object) => object,
        frame: (object) => object,
        framesName: kind.apiVersion,
        bookmark: (resourceVersion, annotations) => ({
          kind: kind.kind,
          apiVersion: kind.apiVersion,
          metadata: bookmarkMetadata(resourceVersion, annotations)
        })
      }
  }
}

const partial = { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1" }

const metadataOf = (object: ObjectLike) => ({ ...partial, metadata: object.metadata })

const bookmarkMetadata = (resourceVersion: string, annotations: Readonly<Record<string, string>> | undefined) => ({
  resourceVersion,
  creationTimestamp: null,
  ...(annotations === undefined ? {} : { annotations })
})

const resourceVersionOf = (object: ObjectLike) => ({
  resourceVersion: "resourceVersion" in object.metadata ? object.metadata.resourceVersion : ""
})

/** As kubectl prints ages: the two largest units while they say something. */
export const ageText = (milliseconds: number): string => {
  const seconds = Math.floor(milliseconds / 1000)
  if (seconds < -1) return "<invalid>"
  if (seconds < 0) return "0s"
  if (seconds < 120) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`
  if (minutes < 180) return `${minutes}m`
  const hours = Math.floor(minutes / 60)
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`
  if (hours < 48) return `${hours}h`
  const days = Math.floor(hours / 24)
  if (days < 8) return hours % 24 === 0 ? `${days}d` : `${days}d${hours % 24}h`
  if (days < 730) return `${days}d`
  const years = Math.floor(days / 365)
  if (years < 8) return days % 365 === 0 ? `${years}y` : `${years}y${days % 365}d`
  return `${years}y`
}
