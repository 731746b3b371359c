/** The metrics that src makes, by reading it: one that never happened yet is not in `/metrics`. */
import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { projectFolder } from "../../.ci/projectFolder.ts"

export interface DefinedMetric {
  /** As Prometheus sees it: a histogram is three. */
  readonly names: ReadonlyArray<string>
  /** Of the only label of a family whose values are fixed; empty where there is none. */
  readonly label: string
  readonly values: ReadonlyArray<string>
}

const definition = /(Metric\.(?:counter|gauge|histogram)|counterFamily|\bgauge)\(\s*"(activity_[a-z0-9_]+)"/g

/** A family's label and its values, where both are written out. */
const fixedValues = /^[^"]*"(?:[^"\\]|\\.)*",\s*"([a-z_]+)",\s*\[([^\].]*)\]/

export const metricsOfSource = async (): Promise<ReadonlyArray<DefinedMetric>> => {
  const files = (await readdir(join(projectFolder, "src"), { recursive: true })).filter((path) => path.endsWith(".ts"))
  const texts = await Promise.all(files.map((path) => readFile(join(projectFolder, "src", path), "utf8")))
  return texts.flatMap((text) =>
    [...text.matchAll(definition)].map((match) => {
      const [whole, maker, name] = [match[0], match[1] ?? "", match[2] ?? ""]
      const family = maker === "counterFamily" ? fixedValues.exec(text.slice(match.index + whole.length)) : null
      return {
        names: maker.endsWith("histogram") ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
        label: family?.[1] ?? "",
        values: [...(family?.[2] ?? "").matchAll(/"([^"]+)"/g)].map(([, value]) => value ?? "")
      }
    })
  )
}
