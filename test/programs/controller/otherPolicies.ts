/** The sample policies, by which the recorded data was read by a person, and others by which it is told first. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { parse } from "yaml"
import { projectFolder } from "../../../.ci/projectFolder.ts"
import type { ActivityPolicySpec, PolicyRule } from "../../../src/domain/ActivityPolicy.ts"

/** By name: what each activity of the recorded data says, read by a person. */
export const golden = new Map(
  readFileSync(join(projectFolder, "test/data/golden-activities.tsv"), "utf8")
    .trim()
    .split("\n")
    .map((line) => {
      const [name = "", , summary = ""] = line.split("\t")
      return [name, summary] as const
    })
)

export interface Policy {
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> }
  readonly spec: ActivityPolicySpec
}

export const samples: ReadonlyArray<Policy> = readdirSync(join(projectFolder, "infra/policies"))
  .filter((file) => file.endsWith(".yaml"))
  .map((file): Policy => parse(readFileSync(join(projectFolder, "infra/policies", file), "utf8")))

const everything: PolicyRule = { match: "true", summary: "{{ actor }} did something" }

/**
 * Its first rules are missing, the next say something else, and a last one tells of everything: of reads, too. The core
 * group is not named.
 */
export const otherwise = ({ metadata, spec }: Policy): Policy => ({
  metadata,
  spec: {
    ...spec,
    resource: namedGroup(spec.resource),
    auditRules: [
      ...(spec.auditRules ?? []).slice(1, 2).map((rule) => ({ ...rule, summary: "{{ actor }} was here" })),
      ...(spec.auditRules ?? []).slice(2),
      everything
    ],
    eventRules: (spec.eventRules ?? []).slice(0, 1)
  }
})

const namedGroup = ({ apiGroup = "", ...rest }: ActivityPolicySpec["resource"]): ActivityPolicySpec["resource"] =>
  apiGroup === "" ? rest : { apiGroup, ...rest }

/** Of a kind that no sample policy is for. */
export const gone: Policy = {
  metadata: { name: "zz-gone" },
  spec: { resource: { apiGroup: "discovery.k8s.io", kind: "EndpointSlice" }, auditRules: [everything] }
}
