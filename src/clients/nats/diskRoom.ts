/** What the disk of a nats-server has left, and what its log says of it. */
import { closeSync, openSync, readSync, statfsSync, statSync } from "node:fs"

const roomPartMin = 0.05
const roomBytesMin = 256 * 1024 * 1024
/** No more of a small disk than this. */
const roomPartMax = 0.5
/** Of a log that grew by more only the end is read. */
const logBytesMax = 64 * 1024

/** More than 5 % of the disk of `folder` and 256 MiB are free (half of a disk that is smaller than 512 MiB). */
export const hasRoom = (folder: string): boolean => {
  const { bavail, blocks, bsize } = statfsSync(folder)
  const sizeBytes = blocks * bsize
  return bavail * bsize > Math.max(sizeBytes * roomPartMin, Math.min(roomBytesMin, sizeBytes * roomPartMax))
}

/** What was written to a log behind `from`; all of it when the log was begun anew, nothing when there is none. */
export const newLogText = (path: string, from: number): { readonly text: string; readonly readTo: number } => {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (size === from || from === Number.POSITIVE_INFINITY) return { text: "", readTo: size }
  const start = Math.max(size < from ? 0 : from, size - logBytesMax)
  const bytes = Buffer.alloc(size - start)
  const file = openSync(path, "r")
  const length = readSync(file, bytes, 0, bytes.length, start)
  closeSync(file)
  return { text: bytes.toString("utf8", 0, length), readTo: start + length }
}
