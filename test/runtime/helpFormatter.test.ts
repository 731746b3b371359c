import { assert, describe, it } from "@effect/vitest"
import { Context, Option } from "effect"
import type { HelpDoc } from "effect/cli/HelpDoc"
import { helpFormatter } from "../../src/runtime/helpFormatter.ts"

const doc: HelpDoc = {
  description: "Keeps what it is given, and gives it back to whoever asks for it",
  usage: "keep [flags]",
  annotations: Context.empty(),
  flags: [
    { name: "data", aliases: ["-d"], type: "string", description: Option.some("the folder of all"), required: false },
    {
      name: "how",
      aliases: [],
      type: "<carefully|fast|not-at-all>",
      description: Option.some("how it keeps (choices: carefully, fast, not-at-all)"),
      required: false
    }
  ]
}

describe("helpFormatter", () => {
  it("sentences go on in their column", () => {
    assert.strictEqual(
      helpFormatter(50).formatHelpDoc(doc),
      `DESCRIPTION
  Keeps what it is given, and gives it back to
  whoever asks for it

USAGE
  keep [flags]

FLAGS
  --data, -d string    the folder of all
  --how word           how it keeps (choices:
                       carefully, fast,
                       not-at-all)`
    )
  })

  it("a wide terminal, or none, has lines of 100 characters at most", () => {
    const long = { ...doc, description: "word ".repeat(100).trim() }
    for (const columns of [undefined, 300]) {
      const widths = helpFormatter(columns)
        .formatHelpDoc(long)
        .split("\n")
        .map((line) => line.length)
      assert.strictEqual(Math.max(...widths), 96)
    }
  })
})
