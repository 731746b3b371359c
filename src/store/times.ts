/**
 * Times as the tables show them: UTC, `YYYY-MM-DD hh:mm:ss.ffffff`. No digit is lost through a number of milliseconds.
 */
import { microsecondsFrom, timestampText } from "../domain/instant.ts"

/** From RFC 3339; what is finer than a microsecond is cut. Undefined: the text is no time. */
export const storedTimeFrom = (text: string): string | undefined => {
  const microseconds = microsecondsFrom(text)
  return microseconds === undefined ? undefined : timestampText(microseconds).replace("T", " ").replace("Z", "")
}
