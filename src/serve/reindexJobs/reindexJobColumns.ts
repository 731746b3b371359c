/** What `kubectl get reindexjobs` shows: the columns that existing clients know. */
import { microsecondsFrom } from "../../domain/instant.ts"
import type { ReindexJob } from "../../domain/ReindexJob.ts"
import { ageText, type Column } from "../Table.ts"

/** @param nowMillis asked for each row: a watch is long */
export const reindexJobColumns = (nowMillis: () => number): ReadonlyArray<Column<ReindexJob>> => [
  {
    name: "Name",
    type: "string",
    format: "name",
    description: "Name of the job.",
    priority: 0,
    cell: (one) => one.metadata.name
  },
  {
    name: "Phase",
    type: "string",
    description: "Pending, Running, Succeeded or Failed.",
    priority: 0,
    cell: (one) => one.status?.phase ?? "Pending"
  },
  {
    name: "Time Range",
    type: "string",
    description: "The time whose records and Events are told anew.",
    priority: 0,
    cell: ({ spec: { timeRange } }) => `${timeRange.startTime} to ${timeRange.endTime ?? "now"}`
  },
  {
    name: "Progress",
    type: "string",
    description: "How much of it is done.",
    priority: 0,
    cell: ({ status }) => {
      const { processedEvents = 0, totalEvents = 0 } = status?.progress ?? {}
      if (totalEvents > 0) return `${Math.min(100, Math.floor((processedEvents * 100) / totalEvents))}%`
      return processedEvents > 0 ? `${processedEvents} events` : "-"
    }
  },
  {
    name: "Message",
    type: "string",
    description: "How far it is, or how it ended.",
    priority: 1,
    cell: (one) => one.status?.message ?? ""
  },
  {
    name: "Age",
    type: "string",
    description: "How long ago the job was created.",
    priority: 0,
    cell: (one) => {
      const created = microsecondsFrom(one.metadata.creationTimestamp ?? "")
      return created === undefined ? "<unknown>" : ageText(nowMillis() - Number(created / 1000n))
    }
  }
]
