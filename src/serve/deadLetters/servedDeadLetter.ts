/** Groups of dead letters as clients get them. */
import { deadLettersResource, groupName } from "../../contracts/resources.ts"
import { dueMillisOf } from "../../domain/deadLetter.ts"
import { timestampText } from "../../domain/instant.ts"
import type { Letter, LetterGroup } from "../../store/DeadLetterGroups.ts"

export const deadLetterKind = {
  group: groupName,
  plural: deadLettersResource.plural,
  kind: deadLettersResource.kind
}

const newestMax = 10

const labelPrefix = "activity.miloapis.com"

/** By which label selectors choose; the values are those of `spec`. */
export const deadLetterLabels = (group: LetterGroup): Readonly<Record<string, string>> => ({
  [`${labelPrefix}/stream`]: group.stream,
  [`${labelPrefix}/program`]: group.program,
  [`${labelPrefix}/reason`]: group.reason,
  ...(group.policy === "" ? {} : { [`${labelPrefix}/policy-name`]: group.policy })
})

export interface ServedDeadLetter {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly resourceVersion: string
    /** RFC 3339, whole seconds: of the letter that has waited longest. */
    readonly creationTimestamp: string
    readonly labels: Readonly<Record<string, string>>
  }
  readonly spec: {
    readonly stream: string
    readonly program: string
    readonly reason: string
    readonly cause: string
    readonly policy?: { readonly name: string; readonly generation: number; readonly rule: string }
  }
  readonly status: {
    readonly letters: number
    readonly attemptsMax: number
    readonly firstTriedTimestamp: string
    readonly lastTriedTimestamp: string
    readonly nextTryTimestamp?: string
    readonly newest: ReadonlyArray<ServedLetter>
  }
}

export interface ServedLetter {
  readonly sequence: number
  readonly position?: string
  readonly attempts: number
  readonly triedTimestamp: string
  readonly cluster?: string
  readonly body?: string
}

export const servedDeadLetter = (group: LetterGroup, apiVersion: string): ServedDeadLetter => {
  const { cause, generation, letters, name, policy, program, reason, rule, stream, version } = group
  const tried = letters.map(({ triedMillis }) => triedMillis)
  const due = letters.flatMap(({ attempts, redriven, triedMillis }) => {
    const dueMillis = dueMillisOf({ attempts, reason, redriven }, triedMillis)
    return dueMillis === undefined ? [] : [dueMillis]
  })
  const first = lowest(tried)
  return {
    apiVersion,
    kind: deadLetterKind.kind,
    metadata: {
      name,
      resourceVersion: String(version),
      creationTimestamp: `${timeText(first).slice(0, 19)}Z`,
      labels: deadLetterLabels(group)
    },
    spec: {
      stream,
      program,
      reason,
      cause,
      ...(policy === "" ? {} : { policy: { name: policy, generation, rule } })
    },
    status: {
      letters: letters.length,
      attemptsMax: letters.reduce((highest, { attempts }) => Math.max(highest, attempts), 0),
      firstTriedTimestamp: timeText(first),
      lastTriedTimestamp: timeText(letters.at(-1)?.triedMillis ?? first),
      ...(due.length === 0 ? {} : { nextTryTimestamp: timeText(lowest(due)) }),
      newest: letters
        .slice(-newestMax)
        .toReversed()
        .map((letter) => servedLetter(letter, stream))
    }
  }
}

const servedLetter = ({ attempts, sequence, source, triedMillis }: Letter, stream: string): ServedLetter => ({
  sequence,
  ...(source === 0 ? {} : { position: `${stream}:${source}` }),
  attempts,
  triedTimestamp: timeText(triedMillis)
})

const lowest = (times: ReadonlyArray<number>): number =>
  times.reduce((low, time) => Math.min(low, time), Number.MAX_SAFE_INTEGER)

const timeText = (millis: number): string => timestampText(BigInt(Math.round(millis * 1000)))
