/** A kubeconfig for a server of a test's own. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { stringify } from "yaml"

let made = 0

/** Writes one of one user into `folder`, and answers its path. */
export const writeKubeconfig = (folder: string, server: string, user: object = {}): string => {
  const file = join(folder, `${made++}.kubeconfig`)
  writeFileSync(
    file,
    stringify({
      clusters: [{ name: "test", cluster: { server } }],
      users: [{ name: "test", user }],
      contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
      "current-context": "test"
    })
  )
  return file
}
