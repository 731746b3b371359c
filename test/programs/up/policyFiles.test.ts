/** What is said of files of policies that cannot be used. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { readPolicyFiles } from "../../../src/programs/up/policyFiles.ts"
import { temporaryFolder } from "../../support/temporaryFolder.ts"

const policyText = (rules: string): string =>
  `apiVersion: activity.miloapis.com/v1alpha1
kind: ActivityPolicy
metadata: { name: shop }
spec:
  resource: { apiGroup: shop.example.com, kind: Widget }
  auditRules: ${rules}
`

const cases: ReadonlyArray<readonly [what: string, text: string, says: string]> = [
  [
    "a field that there is not",
    policyText(`[{ match: "true", summary: made, outcom: Any }]`),
    `policy "shop": unknown field "spec.auditRules[0].outcom"`
  ],
  [
    "a value of another type",
    policyText(`[{ match: true, summary: made }]`),
    `policy "shop": spec.auditRules[0].match must be a string`
  ],
  [
    "a rule that lacks a field",
    policyText(`[{ summary: made }]`),
    `policy "shop", spec.auditRules[0].match: a match is required`
  ],
  [
    "an expression that is none",
    policyText(`[{ match: "audit.verb = 'create'", summary: made }]`),
    `policy "shop", spec.auditRules[0].match, line 1, column 12: Unexpected character: =`
  ],
  ["no YAML", "kind: [\n", "line 2, column 1: "],
  ["another kind", "kind: Secret\n", "a document is no ActivityPolicy: it needs apiVersion, kind, metadata.name"]
]

describe("files of policies", () => {
  for (const [what, text, says] of cases) {
    it(`${what} is refused in a sentence with its place`, async () => {
      await using folder = await temporaryFolder("policy-files")
      const path = join(folder.path, "shop.yaml")
      writeFileSync(path, text)
      const read = await Effect.runPromise(Effect.result(readPolicyFiles(folder.path)))
      const sentence = Result.isFailure(read) ? read.failure.sentence : ""
      assert.strictEqual(sentence.slice(0, `--policies: ${path}: ${says}`.length), `--policies: ${path}: ${says}`)
    })
  }
})
