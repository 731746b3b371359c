/** Durations as CEL writes them: `1h30m`, `-1.5s`, `250ms`. */

/** CEL's own bound, about 10,000 years; microseconds. */
export const durationMax = 315_576_000_000_000_000n

const unitNanoseconds: Readonly<Record<string, bigint>> = {
  h: 3_600_000_000_000n,
  m: 60_000_000_000n,
  s: 1_000_000_000n,
  ms: 1_000_000n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ns: 1n
}

const part = /(\d+(?:\.\d*)?|\.\d+)(h|ms|m|s|us|µs|μs|ns)/y

const digitsMax = 18

/** Microseconds; undefined when the text is no duration, has a fraction of a microsecond, or is beyond {@link durationMax}. */
export const durationFrom = (text: string): bigint | undefined => {
  const [, sign, parts = ""] = /^([+-]?)(.*)$/su.exec(text) ?? []
  if (parts === "0") return 0n
  if (parts === "") return undefined
  // In units of 10^-18 nanoseconds, so that no fraction is lost.
  let total = 0n
  part.lastIndex = 0
  while (part.lastIndex < parts.length) {
    const [, number = "", unit = ""] = part.exec(parts) ?? []
    const [whole = "", fraction = ""] = number.split(".")
    if (unit === "" || whole.length > digitsMax || fraction.length > digitsMax) return undefined
    total += BigInt(whole + fraction.padEnd(digitsMax, "0")) * unitNanoseconds[unit]!
  }
  const microsecond = 1_000n * 10n ** BigInt(digitsMax)
  if (total % microsecond !== 0n) return undefined
  const microseconds = total / microsecond
  return microseconds > durationMax ? undefined : sign === "-" ? -microseconds : microseconds
}
