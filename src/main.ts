#!/usr/bin/env node
/**
 * `activity <program>`: the one executable.
 *
 * Exit codes: 0 stopped, 1 a defect (`doctor`: a fault was found), 2 whatever the user can mend (one sentence, no stack).
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Config, ConfigProvider, Console, Effect, Exit, Layer } from "effect"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import { configProviderFrom } from "./runtime/configFile.ts"
import { helpFormatter } from "./runtime/helpFormatter.ts"
import { StartRefused } from "./runtime/StartRefused.ts"
import { apiServerSettings } from "./programs/apiserver/config.ts"
import { collectorSettings } from "./programs/collector/config.ts"
import { controllerSettings } from "./programs/controller/config.ts"
import { doctorSettings } from "./programs/doctor/config.ts"
import { FaultsFound } from "./programs/doctor/Finding.ts"
import { exporterSettings } from "./programs/exporter/config.ts"
import { migrateSettings } from "./programs/migrate/config.ts"
import { auditPolicySettings, webhookSettings } from "./programs/print/config.ts"
import { processorSettings } from "./programs/processor/config.ts"
import { upSettings } from "./programs/up/config.ts"
import { writerSettings } from "./programs/writer/config.ts"
import manifest from "../package.json" with { type: "json" }

// A program is imported when it runs: help and completion answer at once, and nothing loads what it does not use.
const program = <A>(load: () => Promise<A>) => Effect.promise(load)

const programs = Command.make("activity").pipe(
  Command.withDescription(
    "Turns audit logs and Kubernetes Events into a record that people can read, search and watch"
  ),
  Command.withSubcommands([
    Command.make("up", upSettings, (settings) =>
      program(() => import("./programs/up/program.ts")).pipe(Effect.flatMap(({ up }) => up(settings)))
    ).pipe(Command.withDescription("Everything in one process on this machine, with a recorded cluster to look at")),
    Command.make("collector", collectorSettings, (settings) =>
      program(() => import("./programs/collector/program.ts")).pipe(
        Effect.flatMap(({ collector }) => collector(settings))
      )
    ).pipe(Command.withDescription("Receives audit records by webhook and publishes them")),
    Command.make("exporter", exporterSettings, (settings) =>
      program(() => import("./programs/exporter/program.ts")).pipe(Effect.flatMap(({ exporter }) => exporter(settings)))
    ).pipe(Command.withDescription("Watches a cluster's Events and publishes them")),
    Command.make("processor", processorSettings, (settings) =>
      program(() => import("./programs/processor/program.ts")).pipe(
        Effect.flatMap(({ processor }) => processor(settings))
      )
    ).pipe(Command.withDescription("Turns records and Events into activities by ActivityPolicies")),
    Command.make("writer", writerSettings, (settings) =>
      program(() => import("./programs/writer/program.ts")).pipe(Effect.flatMap(({ writer }) => writer(settings)))
    ).pipe(Command.withDescription("Writes records, Events and activities to ClickHouse")),
    Command.make("apiserver", apiServerSettings, (settings) =>
      program(() => import("./programs/apiserver/program.ts")).pipe(
        Effect.flatMap(({ apiServer }) => apiServer(settings))
      )
    ).pipe(Command.withDescription("Serves the API activity.miloapis.com to kubectl and other clients")),
    Command.make("controller", controllerSettings, (settings) =>
      program(() => import("./programs/controller/program.ts")).pipe(
        Effect.flatMap(({ controller }) => controller(settings))
      )
    ).pipe(
      Command.withDescription(
        "Tells policies' status, and carries out ReindexJobs: stored records and Events are told anew"
      )
    ),
    Command.make("migrate", migrateSettings, (settings) =>
      program(() => import("./programs/migrate/program.ts")).pipe(Effect.flatMap(({ migrate }) => migrate(settings)))
    ).pipe(
      Command.withDescription(
        "Brings ClickHouse's tables to this version, and with --policy-store kubernetes the cluster's definitions"
      )
    ),
    Command.make("doctor", doctorSettings, (settings) =>
      program(() => import("./programs/doctor/program.ts")).pipe(Effect.flatMap(({ doctor }) => doctor(settings)))
    ).pipe(Command.withDescription("Looks at a set-up, changes nothing, and says what is wrong with it, or may be")),
    Command.make("print").pipe(
      Command.withDescription("Prints files for other programs"),
      Command.withSubcommands([
        Command.make("audit-policy", auditPolicySettings, (settings) =>
          program(() => import("./programs/print/program.ts")).pipe(
            Effect.flatMap(({ printAuditPolicy }) => printAuditPolicy(settings))
          )
        ).pipe(Command.withDescription("An audit policy for kube-apiserver, or the flags that it is to be given")),
        Command.make("webhook-kubeconfig", webhookSettings, (settings) =>
          program(() => import("./programs/print/program.ts")).pipe(
            Effect.flatMap(({ printWebhookKubeconfig }) => printWebhookKubeconfig(settings))
          )
        ).pipe(Command.withDescription("How kube-apiserver's audit webhook reaches the collector"))
      ])
    )
  ])
)

/** Help goes to standard output; a wrong invocation is one sentence on standard error. */
const presenter: CliOutput.Presenter = {
  present: (event) => {
    if (event._tag !== "InvalidInvocation") return CliOutput.defaultPresenter.present(event)
    const path = event.commandPath.join(" ")
    return Console.error(`${event.errors.map((error) => error.message.trim()).join("\n")}\nSee ${path} --help.`)
  }
}

/** Without Effect's wizard, which asks for thirty settings one by one. */
const builtIns = [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions, GlobalFlag.LogLevel]

const exitCode = (exit: Exit.Exit<unknown, unknown>): number => {
  if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return 0
  const error = Cause.findErrorOption(exit.cause)
  return error._tag === "Some" && isMendable(error.value) ? 2 : 1
}

const isMendable = (error: unknown): boolean =>
  error instanceof StartRefused || error instanceof Config.ConfigError || CliError.isCliError(error)

const main = Effect.gen(function* () {
  const provider = yield* configProviderFrom(process.argv.slice(2), process.env)
  yield* Command.runWith(programs, { version: manifest.version })(process.argv.slice(2)).pipe(
    Effect.provide(ConfigProvider.layer(provider))
  )
}).pipe(
  Effect.tapCause((cause) => {
    if (Cause.hasInterruptsOnly(cause)) return Effect.void
    const error = Cause.findErrorOption(cause)
    if (error._tag === "Some" && CliError.isCliError(error.value)) return Effect.void // The presenter has said it.
    if (error._tag === "Some" && error.value instanceof FaultsFound) return Effect.void // They are printed.
    if (error._tag === "Some" && isMendable(error.value)) return Console.error(String(messageOf(error.value)))
    return Console.error(`activity stopped by a defect; please report it.\n${Cause.pretty(cause)}`)
  }),
  Effect.provide(
    Layer.mergeAll(
      NodeServices.layer,
      CliOutput.layer(helpFormatter(process.stdout.columns)),
      CliOutput.layerPresenter(presenter),
      CliConfig.layer({ builtIns })
    )
  )
)

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

// A terminal that is closed, or a pipe that nobody reads any more, ends the program as SIGTERM does: with a drain.
const stop = (): void => void process.kill(process.pid, "SIGTERM")
process.once("SIGHUP", stop)
process.stdout.once("error", stop)
process.stdout.on("error", () => undefined)
// Logs that nobody reads are no reason to stop.
process.stderr.on("error", () => undefined)

NodeRuntime.runMain(main, {
  disableErrorReporting: true,
  teardown: (exit, done) => done(exitCode(exit))
})
