/**
 * A sender's own books: what it has sent, and what was acknowledged to it. On disk, so that they outlive the sender and
 * can judge what everybody else kept.
 */
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs"

export interface Ledger extends Disposable {
  /** Before sending: these may now be anywhere. */
  readonly sent: (...identities: ReadonlyArray<string>) => void
  /** After the answer: these must never be lost from here on. */
  readonly acknowledged: (...identities: ReadonlyArray<string>) => void
  readonly close: () => void
}

export interface LedgerEntries {
  readonly sent: ReadonlySet<string>
  readonly acknowledged: ReadonlySet<string>
}

type Mark = "sent" | "acknowledged"

/** Opens the ledger at `path`, which goes on where it ended. Each entry is on disk before the call that writes it returns. */
export const openLedger = (path: string): Ledger => {
  const descriptor = openSync(path, "a", 0o600)
  const write =
    (mark: Mark) =>
    (...identities: ReadonlyArray<string>) => {
      if (identities.length === 0) return
      writeSync(descriptor, identities.map((identity) => `${JSON.stringify([mark, identity])}\n`).join(""))
      fsyncSync(descriptor)
    }
  const close = () => closeSync(descriptor)
  return { sent: write("sent"), acknowledged: write("acknowledged"), close, [Symbol.dispose]: close }
}

/** Reads the ledger back. A last line without an end was being written when its writer died, and does not count. */
export const readLedger = (path: string): LedgerEntries => {
  const entries = { sent: new Set<string>(), acknowledged: new Set<string>() }
  for (const line of readFileSync(path, "utf8").split("\n").slice(0, -1)) {
    const [mark, identity]: [Mark, string] = JSON.parse(line)
    entries[mark].add(identity)
  }
  return entries
}
