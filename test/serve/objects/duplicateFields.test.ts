import { assert, it } from "@effect/vitest"
import { duplicateFields } from "../../../src/serve/objects/duplicateFields.ts"

it.each([
  [`{"a": 1, "a": 2}`, ["a"]],
  [`{"a": {"b": 1, "b": 2}, "c": [{"d": 1}, {"d": 1, "d": "d"}], "c": 3}`, ["a.b", "c[1].d", "c"]],
  // A name is what it reads as, whatever stands in texts.
  [String.raw`{"a": "{\"a\": [,", "\u0061": 1, "A": 2}`, ["a"]],
  [`{"a": ["a", "a", {"a": {"a": 1}}], "b": "a", "c": {}}`, []],
  [`[[{"a": 1, "a": 1}]]`, ["[0][0].a"]],
  [`{"a": 1, "a": 2, "a": 3}`, ["a"]],
  [`5`, []]
])("fields that %s gives twice", (json, expected) => {
  // It is JSON.
  JSON.parse(json)
  assert.deepStrictEqual(duplicateFields(json), expected)
})
