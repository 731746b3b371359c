import fc from "fast-check"
import { assert, describe, it } from "vitest"
import { isJsonObject, type Json, type JsonObject } from "../../src/domain/AuditRecord.ts"
import { changedFields, type FieldChange, fieldDepthMax, keyOf, nameAt } from "../../src/domain/fieldChanges.ts"
import { type FieldPath, fieldPathText } from "../../src/domain/fieldPath.ts"

const everything = { isLeftOut: () => false, changesMax: Infinity }

/** Text of the path → old and new. */
const told = (before: JsonObject, after: JsonObject) =>
  changedFields(before, after, everything).changes.map(({ new: now, old, path }) => [fieldPathText(path), old, now])

describe("changedFields", () => {
  it("tells values that became others, came and went, and nothing of what stayed", () => {
    assert.deepStrictEqual(
      told(
        { spec: { replicas: 3, paused: true, selector: { app: "web" }, empty: {} }, data: { a: "1" } },
        { spec: { replicas: 5, selector: { app: "web" }, minReadySeconds: 10, strategy: {} }, data: { a: "1", b: "" } }
      ),
      [
        ["spec.replicas", 3, 5],
        ["spec.paused", true, undefined],
        ["spec.empty", {}, undefined],
        ["spec.minReadySeconds", undefined, 10],
        ["spec.strategy", undefined, {}],
        ["data.b", undefined, ""]
      ]
    )
  })

  it("null is as good as absent", () => {
    assert.deepStrictEqual(told({ metadata: { creationTimestamp: null } }, { metadata: {} }), [])
    assert.deepStrictEqual(told({ a: null }, { a: 1 }), [["a", undefined, 1]])
  })

  it("follows elements of lists by what names them, wherever they stand", () => {
    const container = (name: string, image: string) => ({ name, image, ports: [{ containerPort: 80 }] })
    assert.deepStrictEqual(
      told(
        { containers: [container("web", "nginx:1.27"), container("log", "fluentd:1")] },
        { containers: [container("mesh", "envoy:1"), container("web", "nginx:1.28"), container("log", "fluentd:1")] }
      ),
      [
        ["containers[name=web].image", "nginx:1.27", "nginx:1.28"],
        ["containers[name=mesh]", undefined, { name: "mesh", image: "envoy:1", ports: [{ containerPort: 80 }] }]
      ]
    )
    assert.deepStrictEqual(
      told(
        { ports: [{ containerPort: 80, protocol: "TCP" }, { containerPort: 443 }] },
        { ports: [{ containerPort: 443 }, { containerPort: 80, protocol: "UDP" }] }
      ),
      [
        ["ports[containerPort=80].protocol", "TCP", "UDP"],
        ["ports", ["80", "443"], ["443", "80"]]
      ]
    )
  })

  it("compares other lists of objects by position, and lists of values as one", () => {
    const rule = (...verbs: ReadonlyArray<string>) => ({ verbs, resources: ["pods"] })
    assert.deepStrictEqual(
      told({ rules: [rule("get"), rule("list")] }, { rules: [rule("get"), rule("list", "watch")] }),
      [["rules[1].verbs", ["list"], ["list", "watch"]]]
    )
    // Those around it are as they were.
    assert.deepStrictEqual(
      told({ rules: [rule("get"), rule("list"), rule("watch")] }, { rules: [rule("get"), rule("watch")] }),
      [["rules[1]", rule("list"), undefined]]
    )
    assert.deepStrictEqual(told({ args: ["--v=2", "--x"] }, { args: ["--x", "--v=4"] }), [
      ["args", ["--v=2", "--x"], ["--x", "--v=4"]]
    ])
    // Two tolerations may have one key: nothing names them.
    assert.deepStrictEqual(
      told(
        { tolerations: [{ key: "a", effect: "NoSchedule" }] },
        {
          tolerations: [
            { key: "a", effect: "NoSchedule" },
            { key: "a", effect: "NoExecute" }
          ]
        }
      ),
      [["tolerations[1]", undefined, { key: "a", effect: "NoExecute" }]]
    )
  })

  it("what became something of another kind is one change", () => {
    assert.deepStrictEqual(told({ a: { b: 1 }, c: [1], d: "1" }, { a: [1], c: {}, d: 1 }), [
      ["a", { b: 1 }, [1]],
      ["c", [1], {}],
      ["d", "1", 1]
    ])
  })

  it("keys that every object has are keys like others", () => {
    const before: JsonObject = JSON.parse('{"__proto__":{"a":1},"constructor":1}')
    const after: JsonObject = JSON.parse('{"__proto__":{"a":2},"toString":{"x":1}}')
    assert.deepStrictEqual(told(before, after), [
      ["__proto__.a", 1, 2],
      ["constructor", 1, undefined],
      ["toString.x", undefined, 1]
    ])
  })

  it("names that are no texts name nothing", () => {
    // What would make a text of an object is a field of it.
    const element = (value: Json) => ({ list: [{ name: { toString: 1 }, value }] })
    assert.deepStrictEqual(told(element("a"), element("b")), [["list[0].value", "a", "b"]])
  })

  it("leaves out what it is told to, and all that it holds", () => {
    const isLeftOut = ([first, second]: FieldPath) => first === "status" || (first === "metadata" && second === "uid")
    const { changes } = changedFields(
      { status: { ready: 1 }, metadata: { uid: "a", name: "a" } },
      { status: { ready: 2 }, metadata: { uid: "b", name: "b" } },
      { ...everything, isLeftOut }
    )
    assert.deepStrictEqual(
      changes.map(({ path }) => fieldPathText(path)),
      ["metadata.name"]
    )
  })

  it("counts what is more than it may tell", () => {
    const after = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`k${index}`, index]))
    const { changes, leftOut } = changedFields({}, { data: after }, { ...everything, changesMax: 20 })
    assert.deepStrictEqual([changes.length, leftOut], [20, 30])
  })

  it("what lies deeper than any kind goes is one value, however deep", () => {
    const nested = (depth: number, value: Json): JsonObject =>
      JSON.parse(`${'{"a":'.repeat(depth)}${JSON.stringify(value)}${"}".repeat(depth)}`)
    const [change] = changedFields(nested(100_000, 1), nested(100_000, 2), everything).changes
    assert.strictEqual(change?.path.length, fieldDepthMax)
    assert.deepStrictEqual(changedFields(nested(100_000, 1), nested(100_000, 1), everything).changes, [])
  })

  it("applying the changes to the old object gives the new one", () => {
    fc.assert(
      fc.property(objects, objects, (before, after) => {
        const { changes } = changedFields(before, after, everything)
        assert.deepStrictEqual(comparable(applied(before, changes)), comparable(after))
      }),
      { numRuns: 3_000 }
    )
  })

  it("of an object and itself, and of the same in another order of names, there are none", () => {
    fc.assert(
      fc.property(objects, (object) => {
        const reordered: JsonObject = JSON.parse(JSON.stringify(object), (_, value: unknown) =>
          typeof value === "object" && value !== null && !Array.isArray(value)
            ? Object.fromEntries(Object.entries(value).toReversed())
            : value
        )
        assert.deepStrictEqual(changedFields(object, reordered, everything), { changes: [], leftOut: 0 })
      })
    )
  })
})

/** Few names and values, so that much of two of them is alike; lists with and without names. */
const { object: objects } = fc.letrec<{ object: JsonObject; value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constantFrom<Json>(null, true, 0, 1, "", "a", "b"),
    tie("object"),
    fc.array(fc.constantFrom<Json>("a", "b", 1), { maxLength: 3 }),
    fc.array(tie("object"), { maxLength: 3 }),
    fc.uniqueArray(
      fc
        .tuple(fc.constantFrom("a", "b", "c"), fc.dictionary(fc.constantFrom("image", "args"), tie("value")))
        .map(([name, rest]): JsonObject => ({ ...rest, name })),
      { maxLength: 3, selector: ({ name }) => name }
    )
  ),
  object: fc.dictionary(fc.constantFrom("a", "b", "c", "name", "port"), tie("value"), { maxKeys: 4 })
}))

/** Objects and lists that may be written to. */
type Editable = { [name: string]: Editable } | Array<Editable> | Json | undefined

/**
 * Written against the description of a change, not against the comparison: the value at `path` becomes `new`, and an
 * element that came or went does so. Positions are those of the list that has the element.
 */
const applied = (before: JsonObject, changes: ReadonlyArray<FieldChange>): Json => {
  // A copy is nobody else's.
  const root = structuredClone(before) as Editable
  const leaving: Array<() => void> = []
  for (const { new: now, old, path } of changes) {
    let holder: Editable = root
    for (const [index, step] of path.entries()) {
      const isLast = index === path.length - 1
      if (typeof step === "string") {
        // By its path: what stands before a name is an object.
        const object = holder as { [name: string]: Editable }
        if (!isLast) holder = object[step] ??= typeof path[index + 1] === "string" ? {} : []
        else if (!isOrder(object[step], old)) object[step] = structuredClone(now) as Editable
        continue
      }
      const list = holder as Array<Editable>
      const at =
        typeof step === "number" ? step : list.findIndex((one) => nameAt(one as JsonObject, step.key) === step.value)
      if (!isLast) holder = list[at]
      else if (now === undefined) {
        const element = list[at]
        leaving.push(() => list.splice(list.indexOf(element), 1))
      } else list.splice(at < 0 ? list.length : at, old === undefined ? 0 : 1, structuredClone(now) as Editable)
    }
  }
  for (const leave of leaving) leave()
  return root as Json
}

/** Names in place of the objects that have them: only their order changed. */
const isOrder = (list: Editable, old: Json | undefined): boolean =>
  Array.isArray(list) &&
  list.length > 0 &&
  list.every((one) => isJsonObject(one as Json)) &&
  Array.isArray(old) &&
  typeof old[0] === "string"

/** Without null, without objects and lists that are empty; named elements in the order of their names. */
const comparable = (value: Json | undefined): Json | undefined => {
  if (value === null || value === undefined) return undefined
  if (Array.isArray(value)) {
    const key = value.every(isJsonObject) ? keyOf(value) : undefined
    const sorted =
      key === undefined ? value : value.toSorted((one, other) => (nameAt(one, key)! < nameAt(other, key)! ? -1 : 1))
    return value.length === 0 ? undefined : sorted.map((item) => comparable(item) ?? null)
  }
  if (!isJsonObject(value)) return value
  const entries = Object.entries(value).flatMap(([name, inner]) => {
    const kept = comparable(inner)
    return kept === undefined ? [] : [[name, kept] as const]
  })
  return entries.length === 0 ? undefined : Object.fromEntries(entries)
}
