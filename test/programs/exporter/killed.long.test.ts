import { it } from "vitest"
import { eventsOfKilledExporterAreAllThere } from "./killedExporter.ts"

it(
  "20,000 Events at 200 a second, their exporter killed twenty times: every last sight is there, none twice",
  { timeout: 900_000 },
  () => eventsOfKilledExporterAreAllThere({ events: 20_000, perSecond: 200, kills: 20 })
)
