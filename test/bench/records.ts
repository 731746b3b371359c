/**
 * Audit records in any number, each once: the recorded ones, or those of a file, then the same with new audit IDs.
 *
 * The n-th record is the same text in every run.
 */
import { createReadStream, existsSync } from "node:fs"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { createGunzip } from "node:zlib"
import { projectFolder } from "../../.ci/projectFolder.ts"
import type { OutgoingMessage } from "../../src/clients/nats/Nats.ts"
import { platformTenant } from "../../src/domain/Tenant.ts"
import { batchFrom } from "../../src/programs/collector/batch.ts"

/** Characters of a file that are held; what follows is not read. */
const heldLengthMax = 512 * 1024 * 1024

export interface Records {
  /** JSON texts, as the file has them. */
  readonly originals: ReadonlyArray<string>
  /** The n-th record, from 0. */
  readonly text: (n: number) => string
}

/** @throws Error with a sentence when the file is missing, or a line of it is no audit record */
export const readRecords = async (file: string | undefined, countMax: number): Promise<Records> => {
  const path = file ?? join(projectFolder, "test/data/audit-events.jsonl.gz")
  if (!existsSync(path)) throw new Error(`--audit: there is no file ${path}.`)
  const originals: Array<string> = []
  const cuts: Array<Cut> = []
  let length = 0
  const bytes = createReadStream(path)
  const lines = createInterface({ input: path.endsWith(".gz") ? bytes.pipe(createGunzip()) : bytes })
  for await (const line of lines) {
    if (line === "") continue
    const cut = cutAtId(line)
    if (cut === undefined) throw new Error(`--audit: line ${originals.length + 1} of ${path} has no auditID.`)
    originals.push(line)
    cuts.push(cut)
    length += line.length
    if (originals.length >= countMax || length >= heldLengthMax) break
  }
  bytes.destroy()
  if (originals.length === 0) throw new Error(`--audit: ${path} holds no record.`)
  return { originals, text: (n) => numbered(originals, cuts, n) }
}

/** The messages that the collector would publish of the records, without those that it leaves out. */
export interface RecordMessages {
  readonly message: (n: number) => OutgoingMessage
  /** The same bodies again and again, each time under another id: the bus knows no difference, and making them is free. */
  readonly again: (n: number) => OutgoingMessage
  /** Of one message's body, on average. */
  readonly sizeBytesMean: number
}

export const messagesOf = (records: Records): RecordMessages => {
  const messages = records.originals.flatMap(
    (line) =>
      batchFrom([line], {
        cluster: "bench",
        defaultTenant: platformTenant,
        stages: new Set(["ResponseComplete", "Panic"]),
        messageSizeBytesMax: 8 * 1024 * 1024
      }).messages
  )
  if (messages.length === 0) throw new Error("--audit: the collector would publish none of these records.")
  const bodies = messages.map(({ body }) => Buffer.from(body).toString())
  const cuts = bodies.map((body) => cutAtId(body)!)
  return {
    sizeBytesMean: messages.reduce((sum, { body }) => sum + body.length, 0) / messages.length,
    message: (n) => {
      const original = messages[n % messages.length]!
      const round = Math.floor(n / messages.length)
      return round === 0
        ? original
        : { ...original, id: `${original.id}-${round}`, body: Buffer.from(numbered(bodies, cuts, n)) }
    },
    again: (n) => {
      const { body, headers = {}, id, subject } = messages[n % messages.length]!
      return { subject, id: `${id}-${Math.floor(n / messages.length)}`, body, headers }
    }
  }
}

/** Where the audit ID stands: `head` ends before it, `tail` begins behind it. */
interface Cut {
  readonly head: string
  readonly id: string
  readonly tail: string
}

/** The first one is the record's own: kube-apiserver writes it before any body. */
const cutAtId = (text: string): Cut | undefined => {
  const name = '"auditID":"'
  const start = text.indexOf(name) + name.length
  const end = text.indexOf('"', start)
  return start < name.length || end < 0
    ? undefined
    : { head: text.slice(0, start), id: text.slice(start, end), tail: text.slice(end) }
}

const numbered = (originals: ReadonlyArray<string>, cuts: ReadonlyArray<Cut>, n: number): string => {
  const index = n % originals.length
  const round = Math.floor(n / originals.length)
  if (round === 0) return originals[index]!
  const { head, id, tail } = cuts[index]!
  // The stages of one request keep one ID. A UUID stays one.
  const prefix = round.toString(16).padStart(8, "0")
  return `${head}${prefix}${id.length === 36 ? id.slice(8) : id}${tail}`
}
