/** A kubeconfig for a server of a test's own. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { stringify } from "yaml"

let made = 0

/**
 * Writes one of one user into `folder`, and answers its path.
 *
 * @param authority PEM, for clients that are not told to trust anybody
 */
export const writeKubeconfig = (folder: string, server: string, user: object = {}, authority?: string): string => {
  const file = join(folder, `${made++}.kubeconfig`)
  writeFileSync(
    file,
    stringify({
      clusters: [
        {
          name: "test",
          cluster: {
            server,
            ...(authority === undefined
              ? {}
              : { "certificate-authority-data": Buffer.from(authority).toString("base64") })
          }
        }
      ],
      users: [{ name: "test", user }],
      contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
      "current-context": "test"
    })
  )
  return file
}
