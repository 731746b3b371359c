/**
 * Answers of BuildKit's parser, and of Prometheus's parser and engine: the Go program in `checker`, which Go builds in a
 * minute on two cores, and from its cache afterwards.
 */
import { execFile } from "node:child_process"
import { cp } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { projectFolder } from "../../.ci/projectFolder.ts"
import { startProcess } from "../support/childProcess.ts"
import { temporaryFolder } from "../support/temporaryFolder.ts"

export interface Question {
  readonly dockerfile?: string
  /** A file of alert rules, as Prometheus reads it. */
  readonly rules?: string
  readonly expressions?: ReadonlyArray<string>
  readonly situations?: ReadonlyArray<Situation>
  /** Their expressions are asked at each minute from 0 on. */
  readonly alerts?: ReadonlyArray<Situation & { readonly forMinutes: number }>
}

export interface Situation {
  /** Lines of `name{labels} values`, a value for each minute, as Prometheus's own tests write them: `0+1x70`. */
  readonly series: string
  readonly expression: string
  /** When the expression is asked. */
  readonly minutes: number
}

export interface Stage {
  readonly base: string
  readonly name: string
  readonly copies: ReadonlyArray<{
    readonly from: string
    readonly sources: ReadonlyArray<string>
    readonly target: string
  }>
  readonly runs: ReadonlyArray<string>
  readonly user: string
  readonly entrypoint: ReadonlyArray<string>
}

export interface ParsedExpression {
  /** Empty when there is none. */
  readonly fault: string
  readonly metrics: ReadonlyArray<string>
  readonly matchers: ReadonlyArray<{
    readonly metric: string
    readonly label: string
    /** `=`, `!=`, `=~`, `!~` */
    readonly type: string
    readonly value: string
  }>
}

export interface Answer {
  /** Of the Dockerfile, the rules and the situations. */
  readonly faults: ReadonlyArray<string>
  readonly stages: ReadonlyArray<Stage> | null
  readonly expressions: ReadonlyArray<ParsedExpression> | null
  /** For each situation: how many series the expression finds. */
  readonly found: ReadonlyArray<number> | null
  /** For each alert: the minutes in which it fires. */
  readonly firing: ReadonlyArray<ReadonlyArray<number>> | null
}

const execute = promisify(execFile)

/** A cold module cache and one core: 750 MB of modules, two minutes of a processor. */
export const buildMillisMax = 15 * 60_000

export const check = async (question: Question): Promise<Answer> => {
  await using folder = await temporaryFolder("checker")
  await cp(join(projectFolder, "test/infra/checker"), folder.path, { recursive: true })
  await execute("go", ["build", "-o", "checker", "."], {
    cwd: folder.path,
    timeout: buildMillisMax,
    env: { ...process.env, GOFLAGS: "-mod=mod", CGO_ENABLED: "0" }
  })
  await using checker = startProcess({
    command: join(folder.path, "checker"),
    arguments: [],
    stdin: JSON.stringify(question)
  })
  await checker.exited
  return JSON.parse(checker.stdout())
}
