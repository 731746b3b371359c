/** JSON.parse of the same records, from bytes as they come, and nothing else. */
import { answerPart, partOptions, spend } from "../processes.ts"
import { readRecords } from "../records.ts"

const { audit, events } = partOptions<{ readonly audit?: string; readonly events: number }>()
const { originals } = await readRecords(audit, events)
const bodies = originals.map((text) => new TextEncoder().encode(text))
const decoder = new TextDecoder()
let parsed = 0
answerPart(
  await spend(events, () => {
    while (parsed < events) if (JSON.parse(decoder.decode(bodies[parsed % bodies.length])) !== undefined) parsed++
  })
)
