/**
 * The rooms under `src`, in the order in which facts flow, and what each may import. To change the table, write a
 * decision.
 *
 * @decision 0008-cel-room
 * @decision 0025-previews
 */
import { dirname, join } from "node:path/posix"
import { type Fault, importsOf, type SourceTree, typescriptUnder } from "./sourceTree.ts"

interface Room {
  /** Other rooms, or single modules in them such as `process/Preview`. */
  readonly rooms: ReadonlyArray<string>
  /** Packages, with everything below them. Undefined: all that package.json names, vendors' and the CEL library aside. */
  readonly packages?: ReadonlyArray<string>
}

const stage: Room = { rooms: ["domain", "runtime", "clients", "cel"] }

export const rooms: Readonly<Record<string, Room>> = {
  domain: { rooms: [], packages: ["effect", "node:crypto"] },
  contracts: { rooms: ["domain"], packages: ["effect"] },
  normalise: { rooms: ["domain"], packages: ["effect", "node:crypto"] },
  cel: { rooms: ["domain"], packages: ["effect", "@marcbachmann/cel-js", "re2js"] },
  runtime: { rooms: ["domain"] },
  clients: { rooms: ["domain", "runtime"] },
  sources: { rooms: ["domain", "runtime", "clients", "contracts"] },
  bus: { rooms: ["domain", "runtime", "clients"] },
  process: stage,
  store: stage,
  recorder: { rooms: ["domain", "runtime", "clients"] },
  serve: {
    rooms: [
      "domain",
      "runtime",
      "clients",
      "contracts",
      "normalise",
      "cel",
      "store",
      "process/Preview",
      "process/PolicyCache",
      "recorder"
    ]
  },
  deliver: { rooms: ["domain", "runtime", "clients", "contracts"] },
  ui: { rooms: ["domain", "contracts"] },
  programs: {
    rooms: [
      "domain",
      "contracts",
      "normalise",
      "cel",
      "runtime",
      "clients",
      "sources",
      "bus",
      "process",
      "store",
      "recorder",
      "serve",
      "deliver"
    ]
  }
}

/** Packages that one room alone may import, because it hides them from the others. */
const hiddenPackages: ReadonlyArray<{ readonly name: RegExp; readonly room: string }> = [
  { name: /^(@nats-io|@clickhouse|@kubernetes|@platformatic|@azure)\//, room: "clients" },
  { name: /^(chdb|redis|nats)$/, room: "clients" },
  { name: /^@marcbachmann\/cel-js$/, room: "cel" }
]

/** Imports that cross a wall between two rooms, leave `src`, or take a package that their room may not see. */
export const roomFaults = (tree: SourceTree): ReadonlyArray<Fault> =>
  typescriptUnder(tree, "src").flatMap(({ path, text }) => {
    const name = path.split("/")[1]!
    // src/main.ts joins programs: it may import them and what they may import.
    const room = name === "main.ts" ? { rooms: [...rooms["programs"]!.rooms, "programs"] } : rooms[name]
    if (room === undefined) return [`${path}: ${name} is no room of ours`]
    return importsOf(text).flatMap((specifier) =>
      (specifier.startsWith(".") ? relativeFaults : packageFaults)(path, name, room, specifier)
    )
  })

const relativeFaults = (path: string, name: string, room: Room, specifier: string): ReadonlyArray<Fault> => {
  const target = join(dirname(path), specifier)
  if (target === "package.json") return []
  if (!target.startsWith("src/")) return [`${path}: ${specifier} is outside src`]
  const [, targetRoom, ...rest] = target.split("/")
  if (targetRoom === name) return []
  const module = [targetRoom, ...rest].join("/").replace(/\.ts$/, "")
  const allowed = room.rooms.some((one) => one === targetRoom || one === module || module.startsWith(`${one}/`))
  return allowed ? [] : [`${path}: ${name} may not import ${module}`]
}

const packageFaults = (path: string, name: string, room: Room, specifier: string): ReadonlyArray<Fault> => {
  const packageName = packageOf(specifier)
  const hidden = hiddenPackages.find((one) => one.name.test(packageName) || one.name.test(specifier))
  if (hidden !== undefined && hidden.room !== name) return [`${path}: only ${hidden.room} may import ${packageName}`]
  if (room.packages !== undefined && !room.packages.includes(packageName)) {
    return [`${path}: ${name} may not import ${packageName}`]
  }
  return []
}

/** `effect` of `effect/http/HttpRouter`, `@nats-io/kv` of `@nats-io/kv/internal`. */
export const packageOf = (specifier: string): string =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/")
