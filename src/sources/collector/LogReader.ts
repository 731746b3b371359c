/** One file of a log, read from a place on, compressed or not. */
import { createHash } from "node:crypto"
import { constants } from "node:fs"
import { type FileHandle, open } from "node:fs/promises"
import { createGunzip } from "node:zlib"
import type { LogFile } from "./logFiles.ts"

export interface LogReader {
  readonly file: LogFile
  /** What comes next; undefined at the end, where a file that is still written may go on later. */
  readonly read: () => Promise<Buffer | undefined>
  /** Up to so many of the file's first bytes, as they are now. */
  readonly head: (bytes: number) => Promise<Buffer>
  /** As it is now; undefined for a compressed file. */
  readonly size: () => Promise<{ readonly inode: number; readonly bytes: number } | undefined>
  readonly close: () => Promise<void>
}

/** Bytes that are read at once, and so the most that a batch of lines holds. */
const chunkBytes = 1024 * 1024

/** A decompressed chunk is small: so many bytes are handed over at once. */
const gathered = 256 * 1024

/** The part of a file that tells it from others. Its first line, which names a request, begins well within it. */
export const headBytesMax = 1024

export const headOf = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex")

/**
 * Opens a file that is one: a pipe or a device in its place would be waited for without end, by opening it already.
 *
 * @throws what opening throws, and a sentence where it is no regular file
 */
const openRegular = async (path: string): Promise<FileHandle> => {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const isFile = await handle.stat().then(
    (found) => found.isFile(),
    () => false
  )
  if (isFile) return handle
  await handle.close()
  throw new Error(notRegular)
}

export const notRegular = "it is no regular file"

export const openLogReader = (file: LogFile, offset: number): Promise<LogReader> =>
  file.compressed ? compressedReader(file, offset) : plainReader(file, offset)

/** The first bytes of a file, decompressed. */
export const headOfFile = async (file: LogFile, bytes: number): Promise<Buffer> => {
  const reader = await openLogReader(file, 0)
  try {
    return await reader.head(bytes)
  } finally {
    await reader.close()
  }
}

const plainReader = async (file: LogFile, offset: number): Promise<LogReader> => {
  const handle = await openRegular(file.path)
  const chunk = Buffer.allocUnsafe(chunkBytes)
  let at = offset
  return {
    file,
    read: async () => {
      const { bytesRead } = await handle.read(chunk, 0, chunkBytes, at)
      at += bytesRead
      return bytesRead === 0 ? undefined : Buffer.from(chunk.subarray(0, bytesRead))
    },
    head: (bytes) => readStart(handle, bytes),
    size: async () => {
      const { ino, size } = await handle.stat()
      return { inode: ino, bytes: size }
    },
    close: () => handle.close()
  }
}

const readStart = async (handle: FileHandle, bytes: number): Promise<Buffer> => {
  const start = Buffer.alloc(bytes)
  const { bytesRead } = await handle.read(start, 0, bytes, 0)
  return start.subarray(0, bytesRead)
}

const compressedReader = async (file: LogFile, offset: number): Promise<LogReader> => {
  const source = (await openRegular(file.path)).createReadStream()
  const plain = createGunzip()
  source.on("error", (cause) => plain.destroy(cause)).pipe(plain)
  // Chunks of a gunzip stream are buffers.
  const chunks = plain[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let left = offset
  let broken: { readonly cause: unknown } | undefined
  return {
    file,
    read: async () => {
      const parts: Array<Buffer> = []
      let bytes = 0
      while (bytes < gathered) {
        const next = await chunks.next().catch((cause: unknown) => {
          // What was whole before the broken place is handed over first; asked again, the stream is at its end.
          broken = { cause }
          return undefined
        })
        if (next === undefined || next.done === true) break
        const skipped = Math.min(left, next.value.length)
        left -= skipped
        parts.push(next.value.subarray(skipped))
        bytes += next.value.length - skipped
      }
      if (bytes === 0 && broken !== undefined) throw broken.cause
      return bytes === 0 ? undefined : Buffer.concat(parts)
    },
    head: async (bytes) => {
      let start = Buffer.alloc(0)
      while (start.length < bytes) {
        const next = await chunks.next()
        if (next.done === true) break
        start = Buffer.concat([start, next.value])
      }
      return start.subarray(0, bytes)
    },
    size: () => Promise.resolve(undefined),
    close: () => {
      source.destroy()
      plain.destroy()
      return Promise.resolve()
    }
  }
}
