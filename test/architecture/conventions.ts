/**
 * Rules about files, names and references, each one a function from a tree to what it found.
 */
import { basename } from "node:path/posix"
import { packageOf } from "./rooms.ts"
import { type Fault, importsOf, type SourceTree, typescriptUnder } from "./sourceTree.ts"

/** The longest decision that is still read, in lines. */
const decisionLinesMax = 60

export interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}

/** Relative imports name the file with its ending, and none looks like an alias. */
export const specifierFaults = (tree: SourceTree): ReadonlyArray<Fault> =>
  typescriptUnder(tree, "src", "test", ".ci").flatMap(({ path, text }) =>
    importsOf(text).flatMap((specifier) => {
      if (specifier.startsWith(".")) {
        return /\.(ts|json)$/.test(specifier) ? [] : [`${path}: ${specifier} does not end in .ts`]
      }
      if (/^[#~/]|^@\//.test(specifier)) return [`${path}: ${specifier} is an alias`]
      return specifier === "@effect/platform-node" ? [`${path}: import a module of ${specifier} by its path`] : []
    })
  )

/** What is imported is in package.json, and a program does not need what only developers install. */
export const dependencyFaults = (tree: SourceTree, manifest: Manifest): ReadonlyArray<Fault> => {
  const shipped = { ...manifest.dependencies, ...manifest.optionalDependencies }
  const all = { ...shipped, ...manifest.devDependencies }
  return typescriptUnder(tree, "src", "test", ".ci").flatMap(({ path, text }) =>
    importsOf(text)
      .filter((specifier) => !/^(\.|node:)/.test(specifier))
      .map(packageOf)
      .filter((name) => !(name in (path.startsWith("src/") ? shipped : all)))
      .map((name) => `${path}: ${name} is not ${name in all ? "shipped" : "in package.json"}`)
  )
}

/** Error tags are labels of metrics and of logs: two errors of one name could not be told apart. */
export const tagFaults = (tree: SourceTree): ReadonlyArray<Fault> =>
  repeated(tree, /TaggedError(?:Class)?(?:<\w+>\(\))?\(\s*"([^"]+)"/g, "the error tag")

/** Two services of one id would silently be one. */
export const serviceFaults = (tree: SourceTree): ReadonlyArray<Fault> =>
  repeated(tree, /\(\)\(\s*"(activity\/[^"]+)"/g, "the service id")

/** A decision is found by its number, is short, says its status and date, and every reference to one leads somewhere. */
export const decisionFaults = (tree: SourceTree): ReadonlyArray<Fault> => {
  const decisions = [...tree].filter(([path]) => path.startsWith("docs/decisions/"))
  const names = decisions.map(([path]) => basename(path, ".md"))
  const numbers = names.map((name) => name.slice(0, 4))
  return [
    ...decisions.flatMap(([path, text]) => [
      ...(/^\d{4}(-[a-z0-9]+)+\.md$/.test(basename(path)) ? [] : [`${path}: is not named NNNN-slug.md`]),
      ...(text.trimEnd().split("\n").length <= decisionLinesMax ? [] : [`${path}: is longer than 60 lines`]),
      ...(/^Status: /m.test(text) && /^Date: \d{4}-\d\d-\d\d$/m.test(text) ? [] : [`${path}: has no status or no date`])
    ]),
    ...names
      .filter((name, index) => numbers.indexOf(name.slice(0, 4)) !== index)
      .map((name) => `docs/decisions/${name}.md: number ${name.slice(0, 4)} is taken`),
    ...typescriptUnder(tree, "src", "test", ".ci").flatMap(({ path, text }) =>
      [...text.matchAll(/^\s*(?:\/?\*+|\/\/)\s*@decision\s+(\S+)/gm)]
        .filter((match) => !names.includes(match[1]!))
        .map((match) => `${path}: there is no decision ${match[1]}`)
    )
  ]
}

/** Names that say nothing, or that are neither PascalCase nor camelCase. */
export const fileNameFaults = (tree: SourceTree): ReadonlyArray<Fault> =>
  typescriptUnder(tree, "src", "test", ".ci").flatMap(({ path }) => [
    ...path
      .split("/")
      .filter((part) => /^(utils?|helpers?|common|types|index)(\.ts)?$/i.test(part))
      .map((part) => `${path}: ${part} says nothing`),
    ...(/^[A-Za-z][A-Za-z0-9]*(\.(tier2|long))?(\.test)?\.ts$/.test(basename(path))
      ? []
      : [`${path}: is neither PascalCase nor camelCase`])
  ])

/** Reading the time makes a result depend on when it is made. Converting a time that was passed in does not. */
export const clockFaults = (tree: SourceTree): ReadonlyArray<Fault> =>
  typescriptUnder(tree, "src")
    .filter(({ path }) => !path.startsWith("src/runtime/") && path !== "src/main.ts")
    .filter(({ text }) => /\bnew Date\(\s*\)|\bDate\.now\b|\bperformance\.now\b|[^.\w]Date\(\)/.test(text))
    .map(({ path }) => `${path}: reads the clock`)

/** Folders of one machine and hosts of package registries mean nothing on another. */
export const placeFaults = (tree: SourceTree): ReadonlyArray<Fault> =>
  [...tree]
    .filter(([, text]) =>
      /(^|[\s"'`(])(\/work\/|\/root\/|\.\.\/shared\/)|registry\.npmjs|proxy\.golang\.org|pypi\.org/.test(text)
    )
    .map(([path]) => `${path}: names a folder of one machine or the host of a registry`)

/** Our own notes are not in the repository: a reader who is sent to one stands before a closed door. */
export const noteFaults = (tree: SourceTree): ReadonlyArray<Fault> =>
  [...tree].flatMap(([path, text]) =>
    [...text.matchAll(/\b(?:design|foundations|style|storage|hot-path|aggregated-api)\.md\b/g)].map(
      ([name]) => `${path}: ${name} is not in the repository`
    )
  )

/** How far above a cast its reason may stand, in lines: a statement may be wrapped. */
const reasonLinesMax = 4

/** A cast overrules the compiler, so it says why, on its line or just above. Widening to unknown needs no reason. */
export const castFaults = (tree: SourceTree): ReadonlyArray<Fault> =>
  typescriptUnder(tree, "src").flatMap(({ path, text }) => {
    const lines = text.split("\n")
    return lines.flatMap((line, index) => {
      const near = lines.slice(Math.max(0, index - reasonLinesMax), index)
      const explained = /\/\/|\*\//.test(line) || near.some((above) => /^\s*(\/\/|\/?\*)|\/\/|\*\/\s*$/.test(above))
      return !explained && isCast(line) ? [`${path}:${index + 1}: a cast without a reason`] : []
    })
  })

/** Comments, imports and texts talk of things "as" other things without casting them. */
const isCast = (line: string): boolean =>
  !/^\s*(?:\/?\*|import\b|export\b\s*[{*]|(?:type )?\w+ as \w+,?$)/.test(line) &&
  /[\w)\]}!] as (?!const\b|unknown(?! as))[\w{([]/.test(line.replace(/"[^"]*"|'[^']*'|`[^`]*`/g, '""'))

const repeated = (tree: SourceTree, pattern: RegExp, what: string): ReadonlyArray<Fault> => {
  const first = new Map<string, string>()
  return typescriptUnder(tree, "src").flatMap(({ path, text }) =>
    [...text.matchAll(pattern)].flatMap((match) => {
      const taken = first.get(match[1]!)
      if (taken !== undefined) return [`${path}: ${what} ${match[1]} is taken by ${taken}`]
      first.set(match[1]!, path)
      return []
    })
  )
}
