/**
 * Finds kubectl, or builds it.
 *
 * In this order: the environment variable KUBECTL, PATH, the folder that KUBEBUILDER_ASSETS names, an earlier build in
 * the user's cache folder, a build by Go from the module proxy (80 seconds on two cores, once per machine).
 */
import { execFile } from "node:child_process"
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises"
import { homedir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { temporaryFolder } from "./temporaryFolder.ts"

/** The Kubernetes that the recorded data comes from. Its libraries carry the same version with a 0 in front. */
const kubernetesVersion = "1.34.4"

/** A cold module cache and one core: the build may take this long. */
const buildMillisMax = 15 * 60_000

const execute = promisify(execFile)

/**
 * A command that answers `version --client`.
 *
 * @throws Error with one sentence for each place that was looked at
 */
export const findKubectl = async (environment: NodeJS.ProcessEnv = process.env): Promise<string> => {
  const named = environment["KUBECTL"]
  // A kubectl that was asked for by name and does not work is a mistake to show, not to work around.
  if (named !== undefined && named !== "") {
    if (await answers(named, environment)) return named
    throw new Error(`KUBECTL=${named} does not answer "version --client"`)
  }
  const built = join(cacheFolder(environment), `kubectl-${kubernetesVersion}`)
  const assets = environment["KUBEBUILDER_ASSETS"]
  const candidates = ["kubectl", ...(assets === undefined ? [] : [join(assets, "kubectl")]), built]
  for (const candidate of candidates) {
    if (await answers(candidate, environment)) return candidate
  }
  await build(built, environment).catch((cause: unknown) => {
    throw new Error(
      `kubectl is missing: not in ${candidates.join(", ")}, and Go did not build it. Install kubectl, or Go 1.24. ${String(cause)}`,
      { cause }
    )
  })
  return built
}

/** Where builds are kept between runs. */
const cacheFolder = (environment: NodeJS.ProcessEnv): string =>
  join(environment["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "activity")

const answers = (command: string, environment: NodeJS.ProcessEnv): Promise<boolean> =>
  execute(command, ["version", "--client"], { env: environment, timeout: 60_000 }).then(
    () => true,
    () => false
  )

/**
 * Builds kubectl at `target`. Kubernetes names its libraries by folders of its own repository, which a module that only
 * requires it cannot follow: each is replaced by its published version.
 */
const build = async (target: string, environment: NodeJS.ProcessEnv): Promise<void> => {
  await using folder = await temporaryFolder("kubectl")
  const go = (...parameters: ReadonlyArray<string>) =>
    execute("go", [...parameters], {
      cwd: folder.path,
      timeout: buildMillisMax,
      maxBuffer: 16 * 1024 * 1024,
      env: { ...environment, GOFLAGS: "-mod=mod", CGO_ENABLED: "0" }
    })

  const { stdout } = await go("mod", "download", "-json", `k8s.io/kubernetes@v${kubernetesVersion}`)
  const downloaded: { readonly GoMod: string } = JSON.parse(stdout)
  const kubernetesModule = await readFile(downloaded.GoMod, "utf8")
  const libraries = [...kubernetesModule.matchAll(/^\s*(k8s\.io\/\S+) => \.\/staging\//gm)].map((match) => match[1]!)
  const libraryVersion = `v0${kubernetesVersion.slice(1)}`
  const module = [
    "module activity/kubectl",
    /^go .+$/m.exec(kubernetesModule)?.[0] ?? "go 1.24.0",
    `require k8s.io/kubernetes v${kubernetesVersion}`,
    `replace (\n${libraries.map((library) => `\t${library} => ${library} ${libraryVersion}`).join("\n")}\n)`
  ]
  await writeFile(join(folder.path, "go.mod"), `${module.join("\n\n")}\n`)

  const binary = join(folder.path, "kubectl")
  const version = `-X k8s.io/component-base/version.gitVersion=v${kubernetesVersion}`
  await go("build", "-trimpath", "-ldflags", `-s -w ${version}`, "-o", binary, "k8s.io/kubernetes/cmd/kubectl")
  // Copied beside the target and renamed, so that a run beside this one never starts half a file.
  const unfinished = `${target}.${process.pid}`
  await mkdir(join(target, ".."), { recursive: true })
  await writeFile(unfinished, await readFile(binary), { mode: 0o755 })
  await rename(unfinished, target).catch(async (cause: unknown) => {
    await rm(unfinished, { force: true })
    throw cause
  })
}
