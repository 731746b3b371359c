import { it } from "@effect/vitest"
import { join } from "node:path"
import { execFileSync } from "node:child_process"
import { connectBus } from "../support/bus.ts"
import { startUp } from "../support/up.ts"
import { madeRecords, recordText } from "../support/madeRecords.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"
it("x", {timeout: 60000}, async () => {
    await using folder = await temporaryFolder("restart")
    const data = join(folder.path, "data")
    const first = await startUp(data)
    await first.post(madeRecords("early", 50).map(recordText))
    console.log(await first.process.terminate(10_000))
    const second = await startUp(data)
    await second.post(madeRecords("late", 50).map(recordText))
    await using bus = connectBus(second.endpoints.nats)
    for (let i=0;i<4;i++) {
      await new Promise(r=>setTimeout(r,1500))
      for (const s of ["AUDIT_EVENTS","ACTIVITIES"]) console.log(s, await bus.state(s), await bus.ackFloor(s,"writer"), await bus.ackFloor(s,"processor").catch(()=>0))
    }
    console.log(execFileSync("cat",[join(data,"activity.log")],{encoding:"utf8"}))
    await second.process.terminate()
})
