/**
 * A log that is written as kube-apiserver writes its own: renamed when it is full, what was renamed compressed later,
 * each record in two pieces so that a reader meets half a line.
 */
import { closeSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs"
import { setTimeout as pause } from "node:timers/promises"
import { gzipSync } from "node:zlib"
import { openLedger, readLedger } from "./ledger.ts"
import { madeRecords, recordText } from "./madeRecords.ts"

export interface RotatingLog {
  /** Ends it. @returns the names of all that was written */
  readonly stop: () => Promise<ReadonlySet<string>>
}

/** Ten records at once, twenty times a second. */
const batchRecords = 10
const everyMillis = 50
const recordsPerFile = 100
/** So many renamed files stay as they are. */
const plainFiles = 2

/** @param path ends in `.log` */
export const writeRotatingLog = (path: string, ledgerPath: string): RotatingLog => {
  const ledger = openLedger(ledgerPath)
  const stop = new AbortController()
  const run = async () => {
    const rotated: Array<string> = []
    let file = openSync(path, "a")
    for (let written = 0; !stop.signal.aborted; written += batchRecords) {
      const made = madeRecords("line", batchRecords, written)
      ledger.sent(...made.map(({ name }) => name))
      for (const one of made) {
        const text = `${recordText(one)}\n`
        writeSync(file, text.slice(0, 700))
        writeSync(file, text.slice(700))
      }
      if (written % recordsPerFile === recordsPerFile - batchRecords) {
        closeSync(file)
        const name = path.replace(/\.log$/, `-${rotationTime(rotated.length)}.log`)
        renameSync(path, name)
        file = openSync(path, "a")
        rotated.push(name)
        const older = rotated.at(-1 - plainFiles)
        if (older !== undefined) {
          writeFileSync(`${older}.gz`, gzipSync(readFileSync(older)))
          rmSync(older)
        }
      }
      await pause(everyMillis)
    }
    closeSync(file)
  }
  const running = run()
  return {
    stop: async () => {
      stop.abort()
      await running
      ledger.close()
      return readLedger(ledgerPath).sent
    }
  }
}

/** The n-th rotation, a second after the one before, as lumberjack writes times. */
const rotationTime = (n: number): string =>
  new Date(Date.UTC(2026, 10, 20, 15, 0, n)).toISOString().replaceAll(":", "-").replace("Z", "")
