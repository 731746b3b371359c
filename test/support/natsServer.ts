/**
 * A real nats-server for a test file, in a folder of its own, that a test may kill, stop for a while, and start again on
 * the same port.
 */
import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, writeFileSync } from "node:fs"
import { mkdir, rm } from "node:fs/promises"
import { createConnection } from "node:net"
import { join } from "node:path"
import { findNatsServer } from "../../src/clients/nats/findNatsServer.ts"
import { natsServerConfig } from "../../src/clients/nats/natsServer.ts"
import { eventually } from "./eventually.ts"
import { freePort } from "./freePort.ts"
import { temporaryFolder } from "./temporaryFolder.ts"

export interface TestNatsServer extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly folder: string
  /** Of the living process, else 0. */
  readonly pid: () => number
  /** SIGKILL, and waits until it is gone. */
  readonly kill: () => Promise<void>
  /** SIGSTOP: it neither answers nor closes. */
  readonly freeze: () => void
  readonly thaw: () => void
  /** Starts it again on the same port and folder. */
  readonly start: () => Promise<void>
  /** Removes all streams: the folder of JetStream. Only while it is down. */
  readonly removeData: () => Promise<void>
  readonly stop: () => Promise<void>
}

const running = new Set<ChildProcess>()
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL")
})

/** Starts one; `await using`, or `stop()` in `afterAll`. */
export const startNatsServer = async (): Promise<TestNatsServer> => {
  const program = await Effect.runPromise(findNatsServer)
  const folder = await temporaryFolder("nats")
  const port = await freePort()
  let child: ChildProcess | undefined

  const start = async () => {
    const configuration = join(folder.path, "nats-server.conf")
    await mkdir(folder.path, { recursive: true })
    writeFileSync(configuration, natsServerConfig(folder.path, "test", port))
    const started = spawn(program, ["-c", configuration], { stdio: "ignore" })
    child = started
    running.add(started)
    started.once("exit", () => running.delete(started))
    const ports = join(folder.path, `nats-server_${started.pid}.ports`)
    await eventually("nats-server listens", async () => existsSync(ports) && (await greets(port)))
  }
  const kill = async () => {
    const killed = child
    child = undefined
    if (killed === undefined || killed.exitCode !== null || killed.signalCode !== null) return
    killed.kill("SIGKILL")
    await once(killed, "exit")
  }
  const stop = async () => {
    await kill()
    await folder.remove()
  }
  await start()
  return {
    url: `nats://127.0.0.1:${port}`,
    port,
    folder: folder.path,
    pid: () => child?.pid ?? 0,
    kill,
    freeze: () => void child?.kill("SIGSTOP"),
    thaw: () => void child?.kill("SIGCONT"),
    start,
    removeData: () => rm(join(folder.path, "jetstream-data"), { recursive: true, force: true }),
    stop,
    [Symbol.asyncDispose]: stop
  }
}

const greets = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = createConnection({ host: "127.0.0.1", port })
    socket.once("data", () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", () => resolve(false))
    socket.setTimeout(2_000, () => {
      socket.destroy()
      resolve(false)
    })
  })
