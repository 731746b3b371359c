/** All that a cluster has to know before it can keep what is ours. */
import { policyRecordDefinition } from "./policyRecordDefinition.ts"
import { reindexJobRecordDefinition } from "./reindexJobRecordDefinition.ts"

export const recordDefinitions = [policyRecordDefinition, reindexJobRecordDefinition]
