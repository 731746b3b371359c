import { Result } from "effect"
import { durationMillis, type Reader, setting, type Settings } from "../../runtime/settings.ts"
import * as shared from "../settings.ts"

const leaseDuration: Reader<number> = (value) =>
  Result.flatMap(durationMillis(value), (millis) =>
    millis >= 3_000 ? Result.succeed(millis) : Result.fail("a duration of at least 3s")
  )

export const controllerSettings = {
  config: shared.configFile,
  ...shared.natsSettings,
  ...shared.clickHouseSettings,
  kubeconfig: shared.file("kubeconfig", "kubeconfig file of the cluster, whose kinds it names; empty: no cluster"),
  opsListen: shared.opsListen,
  streamScale: shared.streamScale,
  leaseDuration: setting({
    name: "lease-duration",
    description: "how long a lease that is not renewed keeps others from taking over, at least 3s",
    default: "15s",
    read: leaseDuration
  })
}

export type ControllerSettings = Settings<typeof controllerSettings>
