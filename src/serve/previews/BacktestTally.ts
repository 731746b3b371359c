/** What a policy changes about each fact: counted, and listed as far as was asked. */
import { Result } from "effect"
import type { BacktestOutcome } from "../../contracts/previewSchema.ts"
import { type Evaluation, type PartsAsked, type PolicySet, sameTelling } from "../../process/Preview.ts"
import type { Position } from "../../store/Position.ts"
import type { SourceFact, SourceWindow } from "../../store/sourceFacts.ts"
import { activityIn, failureText } from "./previewResult.ts"
import { storedEvent, storedRecord } from "./storedFacts.ts"

/** All policies, without and with the change of the one of this name. */
export interface Sides {
  readonly name: string
  readonly before: PolicySet
  readonly after: PolicySet
}

export interface WindowPosition {
  readonly window: SourceWindow
  readonly position: Position
}

interface Listed extends WindowPosition {
  readonly outcome: BacktestOutcome
  /** The auditID of a record, the uid of an Event. */
  readonly id: string
  readonly timestamp: string
  readonly before: Evaluation
  readonly after: Evaluation
}

export class BacktestTally {
  /** How many were added. */
  facts = 0
  readonly counts: Record<BacktestOutcome, number> = { same: 0, changed: 0, new: 0, lost: 0, error: 0 }
  readonly #listed: Array<Listed> = []
  #isFull = false
  readonly #sides: Sides
  readonly #saysSame: ReturnType<typeof sameTelling>
  readonly #wanted: { readonly outcomes: ReadonlySet<BacktestOutcome>; readonly limit: number }

  constructor(sides: Sides, wanted: { readonly outcomes: ReadonlySet<BacktestOutcome>; readonly limit: number }) {
    this.#sides = sides
    this.#saysSame = sameTelling(sides.name, sides.before, sides.after)
    this.#wanted = wanted
  }

  /** The last one of the list, when others of its outcomes followed. */
  get last(): WindowPosition | undefined {
    return this.#isFull ? this.#listed.at(-1) : undefined
  }

  add(window: SourceWindow, fact: SourceFact): void {
    this.facts += 1
    const seen = window.kind === "record" ? this.#record(fact) : this.#event(fact)
    const outcome = seen === undefined ? undefined : outcomeOf(seen.before, seen.after, this.#sides.name)
    if (seen === undefined || outcome === undefined) return
    this.counts[outcome] += 1
    if (!this.#wanted.outcomes.has(outcome)) return
    if (this.#listed.length < this.#wanted.limit) {
      this.#listed.push({ ...seen, outcome, window, position: fact.position })
    } else this.#isFull = true
  }

  results(apiVersion: string): ReadonlyArray<object> {
    return this.#listed.map(({ after, before, id, outcome, timestamp, window }) => ({
      outcome,
      type: window.kind === "record" ? "audit" : "event",
      id,
      timestamp,
      ...(before._tag === "Matched" ? { before: activityIn(apiVersion, before.activity) } : {}),
      ...(after._tag === "Matched" ? { after: activityIn(apiVersion, after.activity) } : {}),
      ...(after._tag === "Failed" ? { error: failureText(after) } : {})
    }))
  }

  #record(fact: SourceFact) {
    const parts = partsAsked(fact, this.#sides)
    const read = parts === undefined ? undefined : storedRecord(fact, parts)
    if (read === undefined || Result.isFailure(read)) return undefined
    const record = read.success
    const after = this.#sides.after.evaluateAudit(record)
    return {
      id: record.auditID,
      timestamp: record.requestReceivedTimestamp,
      before: this.#saysSame("audit", after) ? after : this.#sides.before.evaluateAudit(record),
      after
    }
  }

  #event(fact: SourceFact) {
    const read = storedEvent(fact)
    if (Result.isFailure(read)) return undefined
    const event = read.success
    const after = this.#sides.after.evaluateEvent(event, "added")
    return {
      id: event.uid,
      timestamp: event.creationTimestamp,
      before: this.#saysSame("event", after) ? after : this.#sides.before.evaluateEvent(event, "added"),
      after
    }
  }
}

/** What has to be read of a record to evaluate it on both sides; undefined: no rule of any policy can match it. */
const partsAsked = ({ request }: SourceFact, { after, before }: Sides): PartsAsked | undefined => {
  if (request === undefined) return "bodies"
  const asked = [before.partsAsked(request), after.partsAsked(request)]
  return asked.includes("bodies") ? "bodies" : asked.includes("outlines") ? "outlines" : undefined
}

/** Undefined: the policy has no part in it, neither before nor after. */
const outcomeOf = (before: Evaluation, after: Evaluation, name: string): BacktestOutcome | undefined => {
  if (!isBy(before, name) && !isBy(after, name)) return undefined
  if (after._tag === "Failed") return "error"
  if (after._tag === "NotMatched") return before._tag === "Matched" ? "lost" : undefined
  if (before._tag !== "Matched") return "new"
  // Both sides were given one generation.
  return before.json === after.json ? "same" : "changed"
}

const isBy = (evaluation: Evaluation, name: string): boolean =>
  evaluation._tag === "Matched"
    ? evaluation.activity.spec.policy.name === name
    : evaluation._tag === "Failed" && evaluation.policy === name
