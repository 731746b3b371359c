/** What the subject and the headers of a dead letter tell. */
import { allStreams, headerNames } from "./streams.ts"
import { subjectToken } from "./subject.ts"

export interface DeadLetter {
  /** The stream that its message was in, or was meant for. */
  readonly stream: string
  /** Who set it aside. */
  readonly program: string
  /** One word of a small set. */
  readonly reason: string
  readonly cause: string
  /** "" where no policy is at fault; then there is no rule either, and the generation is 0. */
  readonly policy: string
  readonly generation: number
  readonly rule: string
  /** Tries so far, the first included. */
  readonly attempts: number
  /** `<stream>:<sequence>` of the message that it was; "" where it never was one. */
  readonly position: string
  /** Somebody wants it tried at once. */
  readonly redriven: boolean
  /** It stands for a letter that somebody discarded, and is none itself. */
  readonly discarded: boolean
}

/** The reason of letters that correcting a policy can mend. They are tried again without being asked. */
export const policyFailed = "policy-failed"

interface Message {
  readonly subject: string
  readonly header: (name: string) => string
}

/** `dead.<stream>.<program>.<reason>.<policy or destination>`, and `.<sequence>` of those that can be tried again. */
export const deadLetterFrom = (message: Message): DeadLetter => {
  const [, stream = "", program = "", reason = ""] = message.subject.split(".")
  return {
    stream: allStreams.find(({ name }) => subjectToken(name) === stream)?.name ?? stream,
    program,
    reason,
    cause: message.header(headerNames.cause),
    policy: message.header(headerNames.policy),
    generation: Math.floor(Number(message.header(headerNames.generation))) || 0,
    rule: message.header(headerNames.rule),
    attempts: Math.max(1, Math.floor(Number(message.header(headerNames.attempts))) || 1),
    position: message.header(headerNames.position),
    redriven: message.header(headerNames.redriven) !== "",
    discarded: message.header(headerNames.discarded) !== ""
  }
}

/** Its headers, for one that is written in its place. */
export const headersOf = (message: Message): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.values(headerNames).flatMap((name) => {
      const value = message.header(name)
      return value === "" ? [] : [[name, value]]
    })
  )

const backoffMillisMin = 60_000
const backoffMillisMax = 86_400_000

/** @param attempts tries so far, the first included */
export const backoffMillis = (attempts: number): number =>
  Math.min(backoffMillisMax, backoffMillisMin * 2 ** Math.min(30, Math.max(0, attempts - 1)))

/**
 * When a letter that was written at `writtenMillis` is tried again, in milliseconds since 1970. Undefined: never, what
 * it cannot be it will not be tomorrow.
 */
export const dueMillisOf = (
  letter: Pick<DeadLetter, "attempts" | "reason" | "redriven">,
  writtenMillis: number
): number | undefined => {
  if (letter.redriven) return writtenMillis
  return letter.reason === policyFailed ? writtenMillis + backoffMillis(letter.attempts) : undefined
}

const ownSubjectTokens = 6

/**
 * Of several letters of one fact the newest counts: what they have in common, a subject. Letters of older releases share
 * theirs with others, as do those of programs that cannot try them again. Undefined: it is the only one.
 */
export const factOf = (message: Message): string | undefined => {
  if (message.subject.split(".").length === ownSubjectTokens) return message.subject
  const position = message.header(headerNames.position)
  return position === "" ? undefined : `${message.subject}.${position.slice(position.lastIndexOf(":") + 1)}`
}

/**
 * Where the bus takes what stands in a letter's place, and behind which sequence: not when something else does already, nor
 * when the letter is gone. Undefined: anywhere.
 */
export const placeOf = (
  letter: Message & { readonly sequence: number }
): { readonly subject: string; readonly last: number } | undefined => {
  const subject = factOf(letter)
  return subject === undefined ? undefined : { subject, last: subject === letter.subject ? letter.sequence : 0 }
}

/** Programs that can try their letters again. What a collector could not read never was a record. */
export const canBeTried = (letter: { readonly program: string }): boolean =>
  letter.program === "processor" || letter.program === "writer"
