/**
 * Waiting for something to become true, with a deadline, in place of a sleep.
 */
import { setTimeout as pause } from "node:timers/promises"

/** How long to wait between two looks. */
const pollMillis = 20

export interface EventuallyOptions {
  /** How long the condition has before the wait fails. Generous by default: test machines are slow. */
  readonly deadlineMillis?: number
}

/**
 * Ask `look` until it answers something, and return that.
 *
 * `undefined`, `false` and a thrown error all mean "not yet". Looks never overlap: the next one starts 20 ms after the
 * last has answered.
 *
 * @throws Error naming `label` and the last thrown error, when the deadline passes first; a look that never answers
 * does not extend it
 */
export const eventually = async <T>(
  label: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  { deadlineMillis = 90_000 }: EventuallyOptions = {}
): Promise<T> => {
  const deadline = performance.now() + deadlineMillis
  let lastFailure: unknown = undefined
  while (performance.now() < deadline) {
    const seen = await withinDeadline(look, deadline).catch((cause: unknown) => {
      lastFailure = cause
      return undefined
    })
    if (seen !== undefined && seen !== false) return seen
    await pause(pollMillis)
  }
  const why = lastFailure === undefined ? "" : `; the last look failed: ${String(lastFailure)}`
  throw new Error(`waited ${deadlineMillis} ms in vain: ${label}${why}`, { cause: lastFailure })
}

/** Answers what `look` answers, or `undefined` at the deadline, whichever is first. */
const withinDeadline = async <T>(
  look: () => Promise<T | undefined | false> | T | undefined | false,
  deadline: number
): Promise<T | undefined | false> => {
  const abandoned = new AbortController()
  const remaining = Math.max(0, deadline - performance.now())
  const timeout = pause(remaining, undefined, { signal: abandoned.signal }).catch(() => undefined)
  try {
    return await Promise.race([Promise.resolve().then(look), timeout])
  } finally {
    abandoned.abort()
  }
}
