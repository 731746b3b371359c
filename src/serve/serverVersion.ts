/** `/version`: what kubectl prints as the server's. */
import { type Answer, value } from "./http/Call.ts"

export const versionAnswer = (): Answer =>
  value({
    major: "1",
    minor: "34",
    gitVersion: "v1.34.0-activity.0.1.0",
    gitCommit: "",
    gitTreeState: "clean",
    buildDate: "1970-01-01T00:00:00Z",
    goVersion: "none",
    compiler: "node",
    platform: "any"
  })
