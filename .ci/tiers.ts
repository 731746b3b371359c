/**
 * Which test files a run takes, by their names: `*.test.ts` is tier 1 and needs nothing beyond `npm ci`,
 * `*.tier2.test.ts` also needs Go, Java and Python, `*.long.test.ts` takes minutes and runs only when asked for.
 */
export type Tier = 1 | 2

export interface TestFiles {
  readonly include: ReadonlyArray<string>
  readonly exclude: ReadonlyArray<string>
  readonly testTimeoutMillis: number
}

const minuteMillis = 60_000

/** Tier 2, which is everything, when none is named. */
export const tierFrom = (text: string | undefined): Tier => {
  if (text === undefined || text === "2") return 2
  if (text === "1") return 1
  throw new Error(`--tier is 1 or 2, not ${JSON.stringify(text)}`)
}

export const testFiles = ({ tier, long }: { readonly tier: Tier; readonly long: boolean }): TestFiles => {
  const notNow = tier === 1 ? ["test/**/*.tier2.test.ts"] : []
  return long
    ? { include: ["test/**/*.long.test.ts"], exclude: notNow, testTimeoutMillis: 60 * minuteMillis }
    : {
        include: ["test/**/*.test.ts"],
        exclude: ["test/**/*.long.test.ts", ...notNow],
        testTimeoutMillis: 3 * minuteMillis
      }
}
