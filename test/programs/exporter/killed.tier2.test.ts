import { it } from "vitest"
import { eventsOfKilledExporterAreAllThere } from "./killedExporter.ts"

it(
  "2,000 Events at 100 a second, their exporter killed four times: every last sight is there, none twice",
  { timeout: 180_000 },
  () => eventsOfKilledExporterAreAllThere({ events: 2_000, perSecond: 100, kills: 4 })
)
