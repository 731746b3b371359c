/** Activities as the processor publishes them, each with the moment of its publishing in its summary. */
import type { OutgoingMessage } from "../../src/clients/nats/Nats.ts"
import type { Tenant } from "../../src/domain/Tenant.ts"
import { messageFrom } from "../serve/apiFixture.ts"
import { tenantName } from "./madeActivities.ts"

/** @param nowMillis since 1970; {@link publishedMillis} finds it again */
export const stampedMessage = (n: number, tenant: Tenant, nowMillis: number): OutgoingMessage =>
  messageFrom({ id: `stamped-${n}`, tenant, summary: `stamped ${nowMillis}`, ageSeconds: 0 }, nowMillis)

/** The n-th of any number, in a hundred tenants, the same in every run. */
export const madeMessage = (n: number): OutgoingMessage =>
  messageFrom(
    {
      id: `made-${n}`,
      tenant: { type: "Project", name: tenantName(n % tenantsOfMade) },
      summary: `user-${n % 500} updated object-${n} for the release`,
      ageSeconds: n % 86_400
    },
    madeMillis
  )

const tenantsOfMade = 100
/** 2026-11-16, a Monday: all in one partition, or two. */
const madeMillis = Date.UTC(2026, 10, 16, 12)

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
