/**
 * Finds the programs of a Kubernetes control plane, and kubectl, or builds them.
 *
 * In this order: the program's environment variable, PATH, the folder that KUBEBUILDER_ASSETS names, an earlier build in
 * the user's cache folder, a build by Go from the module proxy (on two cores, once per machine: kube-apiserver 150
 * seconds, kube-controller-manager and kube-scheduler 120 more, kubectl 80, etcd 40).
 */
import { execFile } from "node:child_process"
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises"
import { homedir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { temporaryFolder } from "./temporaryFolder.ts"

/** The Kubernetes that the recorded data comes from. Its libraries carry the same version with a 0 in front. */
const kubernetesVersion = "1.34.4"

const etcdVersion = "3.6.5"

/** A cold module cache and one core: the build of one program may take this long. */
const buildMillisMax = 15 * 60_000

export type GoProgram = "kubectl" | "kube-apiserver" | "kube-controller-manager" | "kube-scheduler" | "etcd"

interface Recipe {
  /** Names a program, and overrules every other place. */
  readonly variable: string
  readonly version: string
  /** A program that ends well with these works. */
  readonly question: ReadonlyArray<string>
  /** Writes the module into the working folder of `go`, and answers what to build there. */
  readonly module: (folder: string, go: Go) => Promise<{ readonly target: string; readonly linkerFlags: string }>
}

type Go = (...parameters: ReadonlyArray<string>) => Promise<{ readonly stdout: string }>

const execute = promisify(execFile)

/**
 * A command that answers with its version.
 *
 * @throws Error with one sentence for each place that was looked at
 */
export const findGoProgram = async (
  program: GoProgram,
  environment: NodeJS.ProcessEnv = process.env,
  announce: (sentence: string) => void = () => undefined
): Promise<string> => {
  const { variable, question, version } = recipes[program]
  const answers = (command: string): Promise<boolean> =>
    execute(command, [...question], { env: environment, timeout: 60_000 }).then(
      () => true,
      () => false
    )
  const named = environment[variable]
  // A program that was asked for by name and does not work is a mistake to show, not to work around.
  if (named !== undefined && named !== "") {
    if (await answers(named)) return named
    throw new Error(`${variable}=${named} does not answer "${question.join(" ")}"`)
  }
  const built = join(cacheFolder(environment), `${program}-${version}`)
  const assets = environment["KUBEBUILDER_ASSETS"]
  const candidates = [program, ...(assets === undefined ? [] : [join(assets, program)]), built]
  for (const candidate of candidates) {
    if (await answers(candidate)) return candidate
  }
  announce(`Building ${program} ${version} with Go, once for this machine …`)
  await build(program, built, environment).catch((cause: unknown) => {
    throw new Error(
      `${program} is missing: not in ${candidates.join(", ")}, and Go did not build it. Install ${program}, or Go 1.25. ${String(cause)}`,
      { cause }
    )
  })
  return built
}

/** Where builds are kept between runs. */
export const cacheFolder = (environment: NodeJS.ProcessEnv): string =>
  join(environment["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "activity")

/** Builds a program at `target`. */
const build = async (program: GoProgram, target: string, environment: NodeJS.ProcessEnv): Promise<void> => {
  await using folder = await temporaryFolder(program)
  const go: Go = (...parameters) =>
    execute("go", [...parameters], {
      cwd: folder.path,
      timeout: buildMillisMax,
      maxBuffer: 16 * 1024 * 1024,
      env: { ...environment, GOFLAGS: "-mod=mod", CGO_ENABLED: "0" }
    })
  const source = await recipes[program].module(folder.path, go)
  const binary = join(folder.path, "program")
  await go("build", "-trimpath", "-ldflags", `-s -w ${source.linkerFlags}`, "-o", binary, source.target)
  // Copied beside the target and renamed, so that a run beside this one never starts half a file.
  const unfinished = `${target}.${process.pid}`
  await mkdir(join(target, ".."), { recursive: true })
  await writeFile(unfinished, await readFile(binary), { mode: 0o755 })
  await rename(unfinished, target).catch(async (cause: unknown) => {
    await rm(unfinished, { force: true })
    throw cause
  })
}

/**
 * Kubernetes names its libraries by folders of its own repository, which a module that only requires it cannot follow:
 * each is replaced by its published version.
 */
const kubernetesModule =
  (program: GoProgram): Recipe["module"] =>
  async (folder, go) => {
    const { stdout } = await go("mod", "download", "-json", `k8s.io/kubernetes@v${kubernetesVersion}`)
    const downloaded: { readonly GoMod: string } = JSON.parse(stdout)
    const upstream = await readFile(downloaded.GoMod, "utf8")
    const libraries = [...upstream.matchAll(/^\s*(k8s\.io\/\S+) => \.\/staging\//gm)].map((match) => match[1]!)
    const libraryVersion = `v0${kubernetesVersion.slice(1)}`
    const module = [
      `module activity/${program}`,
      /^go .+$/m.exec(upstream)?.[0] ?? "go 1.24.0",
      `require k8s.io/kubernetes v${kubernetesVersion}`,
      `replace (\n${libraries.map((library) => `\t${library} => ${library} ${libraryVersion}`).join("\n")}\n)`
    ]
    await writeFile(join(folder, "go.mod"), `${module.join("\n\n")}\n`)
    const [major, minor] = kubernetesVersion.split(".")
    const versions = { gitVersion: `v${kubernetesVersion}`, gitMajor: major, gitMinor: minor }
    return {
      target: `k8s.io/kubernetes/cmd/${program}`,
      linkerFlags: Object.entries(versions)
        .map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`)
        .join(" ")
    }
  }

/** etcd's own main package is a module that cannot be required: it says no more than this. */
const etcdModule: Recipe["module"] = async (folder, go) => {
  await writeFile(join(folder, "go.mod"), "module activity/etcd\n\ngo 1.24.0\n")
  await writeFile(
    join(folder, "main.go"),
    `package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
`
  )
  await go("get", `go.etcd.io/etcd/server/v3@v${etcdVersion}`)
  return { target: ".", linkerFlags: "" }
}

const kubernetes = (program: GoProgram, variable: string): Recipe => ({
  variable,
  version: kubernetesVersion,
  question: ["--version"],
  module: kubernetesModule(program)
})

const recipes: Readonly<Record<GoProgram, Recipe>> = {
  kubectl: { ...kubernetes("kubectl", "KUBECTL"), question: ["version", "--client"] },
  "kube-apiserver": kubernetes("kube-apiserver", "KUBE_APISERVER"),
  "kube-controller-manager": kubernetes("kube-controller-manager", "KUBE_CONTROLLER_MANAGER"),
  "kube-scheduler": kubernetes("kube-scheduler", "KUBE_SCHEDULER"),
  etcd: { variable: "ETCD", version: etcdVersion, question: ["--version"], module: etcdModule }
}
