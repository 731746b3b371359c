/**
 * Times as the tables hold them: UTC, `YYYY-MM-DD hh:mm:ss.ffffff`. Such texts sort as the times they are, and no digit
 * is lost through a number of milliseconds.
 */
import { Option } from "effect"

const shape = /^(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})?$/

/**
 * The text for a DateTime64 with `digits` of fraction (what exceeds them is cut), from RFC 3339 or from the text of
 * a row. A text without an offset is UTC. None: it is no time, or outside of the years 1900 to 2261.
 */
export const storedTimeFrom = (text: string, digits: 6 | 9 = 6): Option.Option<string> => {
  const match = shape.exec(text)
  if (match === null) return Option.none()
  const [, year, month, day, hour, minute, second, fraction = "", offset = "Z"] = match
  // A leap second does not exist in POSIX time; Date refuses it, and so do we.
  const millis = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}${offset.toUpperCase()}`)
  const time = new Date(millis)
  // Date takes the 30th of February for the 1st of March.
  if (Number.isNaN(millis) || new Date(`${year}-${month}-${day}T00:00:00Z`).getUTCDate() !== Number(day)) return Option.none()
  if (time.getUTCFullYear() < 1900 || time.getUTCFullYear() > 2261) return Option.none()
  return Option.some(`${time.toISOString().slice(0, 19).replace("T", " ")}.${fraction.padEnd(9, "0").slice(0, digits)}`)
}
