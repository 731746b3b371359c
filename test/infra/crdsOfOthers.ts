/** Definitions of cert-manager and of the Prometheus operator, from their Go modules, as they ship them. */
import { execFile } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import { temporaryFolder } from "../support/temporaryFolder.ts"

const execute = promisify(execFile)

const modules = [
  {
    module: "github.com/cert-manager/cert-manager@v1.19.1",
    files: ["deploy/crds/cert-manager.io_certificates.yaml", "deploy/crds/cert-manager.io_issuers.yaml"]
  },
  {
    module: "github.com/prometheus-operator/prometheus-operator@v0.85.0",
    files: ["servicemonitors", "prometheusrules"].map(
      (plural) => `example/prometheus-operator-crd/monitoring.coreos.com_${plural}.yaml`
    )
  }
]

/** Absolute paths of YAML files. */
export const definitionFiles = async (): Promise<ReadonlyArray<string>> => {
  await using folder = await temporaryFolder("definitions")
  const found: Array<string> = []
  for (const { files, module } of modules) {
    const { stdout } = await execute("go", ["mod", "download", "-json", module], {
      cwd: folder.path,
      timeout: 5 * 60_000
    })
    const { Dir }: { readonly Dir: string } = JSON.parse(stdout)
    found.push(...files.map((file) => join(Dir, file)))
  }
  return found
}
