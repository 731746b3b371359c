import fc from "fast-check"
import { assert, describe, it } from "vitest"
import { type FieldPath, fieldPathText } from "../../src/domain/fieldPath.ts"

describe("fieldPathText", () => {
  it("writes paths as people know them, and anything else so that it can be told apart", () => {
    const table: ReadonlyArray<readonly [FieldPath, string]> = [
      [["spec", "replicas"], "spec.replicas"],
      [
        ["spec", "template", "spec", "containers", { key: "name", value: "web" }, "image"],
        "spec.template.spec.containers[name=web].image"
      ],
      [["metadata", "annotations", "example.com/note"], "metadata.annotations[example.com/note]"],
      [["rules", 0, "verbs"], "rules[0].verbs"],
      [["data", "0"], "data.0"],
      [["data", "app.properties"], "data[app.properties]"],
      [["data", "a=b"], 'data["a=b"]'],
      [["data", "a]b"], 'data["a]b"]'],
      [["data", ""], 'data[""]'],
      [["spec", "ports", { key: "containerPort", value: "8080" }], "spec.ports[containerPort=8080]"],
      [["spec", "env", { key: "name", value: "A]" }, "value"], 'spec.env[name="A]"].value'],
      [["example.com/first", "x"], "[example.com/first].x"]
    ]
    for (const [path, text] of table) assert.strictEqual(fieldPathText(path), text)
  })

  it("two paths never have one text", () => {
    const text = fc.oneof(
      fc.constantFrom("a", "0", "a.b", "a=b", "name", "a]", '"a"', "", "[a]", "a=", "\\"),
      fc.string()
    )
    const step = fc.oneof(text, fc.nat(20), fc.record({ key: fc.constantFrom("name", "type", "port"), value: text }))
    const path = fc.array(step, { minLength: 1, maxLength: 3 })
    fc.assert(
      fc.property(path, path, (one, other) => {
        const isSame = JSON.stringify(one) === JSON.stringify(other)
        assert.strictEqual(fieldPathText(one) === fieldPathText(other), isSame)
      }),
      { numRuns: 5_000 }
    )
  })
})
