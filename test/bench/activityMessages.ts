/** Activities as the processor publishes them, each with the moment of its publishing in its summary. */
import type { OutgoingMessage } from "../../src/clients/nats/Nats.ts"
import type { Tenant } from "../../src/domain/Tenant.ts"
import { messageFrom } from "../serve/apiFixture.ts"

/** @param nowMillis since 1970; {@link publishedMillis} finds it again */
export const stampedMessage = (n: number, tenant: Tenant, nowMillis: number): OutgoingMessage =>
  messageFrom({ id: `stamped-${n}`, tenant, summary: `stamped ${nowMillis}`, ageSeconds: 0 }, nowMillis)

/** Of one that {@link stampedMessage} made; undefined for others. */
export const publishedMillis = (text: string): number | undefined => {
  const found = /"summary":"stamped (\d+)"/.exec(text)?.[1]
  return found === undefined ? undefined : Number(found)
}

/** `part` of all values are at most as much, e.g. 0.99. 0 where there is none. */
export const percentile = (values: ReadonlyArray<number>, part: number): number => {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? 0
}
