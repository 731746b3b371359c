import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { layerFromUrl } from "../../../src/clients/clickhouse/layerFromUrl.ts"
import { clickHouseContract } from "./contract.ts"

clickHouseContract("the embedded engine", layerFromUrl(`embedded:${mkdtempSync(join(tmpdir(), "activity-embedded-"))}`))
