/** An installation's files, in a copy of infra: what `infra/overlays/secrets` reads. */
import { randomBytes } from "node:crypto"
import { cp, mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { makeAuthority } from "../support/certificates.ts"
import { type TemporaryFolder, temporaryFolder } from "../support/temporaryFolder.ts"

/** `path` is the copy of the project; it holds infra and nothing else. */
export const infraWithFiles = async (): Promise<TemporaryFolder> => {
  const folder = await temporaryFolder("infra")
  await cp(join(projectFolder, "infra"), join(folder.path, "infra"), {
    recursive: true,
    filter: (path) => !path.endsWith("/overlays/secrets/files")
  })
  const files = join(folder.path, "infra/overlays/secrets/files")
  await mkdir(files)
  const write = (name: string, text: string) => writeFile(join(files, name), text)
  const authority = await makeAuthority("activity-authority")
  await write("ca.crt", authority.certificate)
  for (const server of ["apiserver", "collector"]) {
    const pair = await authority.server(server, [`activity-${server}.activity-system.svc`])
    await write(`${server}.crt`, pair.certificate)
    await write(`${server}.key`, pair.key)
  }
  await write("audit-tokens.yaml", "- token: a-long-random-text\n")
  await write("cursor.key", randomBytes(32).toString("hex"))
  await write("clickhouse.env", "CLICKHOUSE_URL=http://user:password@clickhouse:8123/activity\n")
  return folder
}
