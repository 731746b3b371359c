/** An exporter as a process of its own, and what it says of itself. */
import { type ChildProcess, startProgram } from "../../support/childProcess.ts"
import { eventually } from "../../support/eventually.ts"
import { freePort } from "../../support/freePort.ts"

export interface Exporter extends AsyncDisposable {
  readonly program: ChildProcess
  readonly readyz: () => Promise<{ readonly status: number; readonly text: string }>
  /** `activity_exporter_events_total` by outcome. */
  readonly counts: () => Promise<Readonly<Record<string, number>>>
}

export interface ExporterOptions {
  readonly kubeconfig: string
  readonly natsUrl: string
  /** Shorter leases by default: a test that kills one would wait for the usual 15 s each time. */
  readonly flags?: ReadonlyArray<string>
  readonly runtime?: "node" | "deno"
}

export const startExporter = async (options: ExporterOptions): Promise<Exporter> => {
  const port = await freePort()
  const program = startProgram(
    [
      "exporter",
      ...["--kubeconfig", options.kubeconfig, "--nats-url", options.natsUrl],
      ...["--ops-listen", `127.0.0.1:${port}`, "--cluster", "test"],
      ...(options.flags ?? ["--lease-duration", "6s"])
    ],
    { runtime: options.runtime ?? "node" }
  )
  const text = async (path: string) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`)
    return { status: answer.status, text: await answer.text() }
  }
  await program.waitForLine(/"message":"exporter started"/)
  return {
    program,
    readyz: () => text("/readyz"),
    counts: async () => {
      const lines = (await text("/metrics")).text.matchAll(/^activity_exporter_events_total\{outcome="(\w+)"\} (\d+)/gm)
      return Object.fromEntries([...lines].map(([, outcome, value]) => [outcome, Number(value)]))
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose]()
  }
}

/** One that holds the lease, and has listed. */
export const startLeader = async (options: ExporterOptions): Promise<Exporter> => {
  const exporter = await startExporter(options)
  await exporter.program.waitForLine(/"message":"exporting"/)
  await eventually("it is ready", async () => (await exporter.readyz()).status === 200)
  return exporter
}
