import { assert, describe, it } from "@effect/vitest"
import { headOf, withOutlines } from "../../src/normalise/bodies.ts"

/** As kube-apiserver writes it: the bodies behind the envelope, the times behind them. */
const record = (bodies: string) => `{"verb":"patch","objectRef":{"name":"web"}${bodies},"stage":"Panic"}`

const request = ',"requestObject":{"spec":{"text":"} \\" ]","list":[{"a":[1,2]}]}}'
const response =
  ',"responseObject":{"kind":"Deployment","metadata":{"name":"web","labels":{"app":"web"},"managedFields":[{"f:a":{}}]},' +
  '"spec":{"replicas":3},"items":[{"kind":"Pod"}],"count":2,"gone":null}'

describe("the head of a record", () => {
  it("is what stands before its bodies, whichever it has", () => {
    for (const bodies of [request, response, request + response]) {
      assert.deepStrictEqual(headOf(Buffer.from(record(bodies))), {
        text: '{"verb":"patch","objectRef":{"name":"web"}}',
        isWhole: false
      })
    }
  })

  it("is all of it where its bodies stand otherwise than kube-apiserver writes them", () => {
    for (const bodies of ["", ', "requestObject":{}', ',"requestObject": {}', ',"requestObject":[{"op":"add"}]']) {
      assert.deepStrictEqual(headOf(Buffer.from(record(bodies))), { text: record(bodies), isWhole: true })
    }
  })

  it("is no JSON where what bears such a name stands in something else", () => {
    for (const text of [
      '{"user":{"extra":{"a":[],"requestObject":{}},"uid":"u"},"verb":"get"}',
      '{"sourceIPs":[{"a":1,"responseObject":{}}],"verb":"get"}'
    ]) {
      assert.throws(() => JSON.parse(headOf(Buffer.from(text)).text), SyntaxError)
    }
  })
})

describe("a record with outlines of its bodies", () => {
  it("keeps the texts and numbers of a body and of its metadata, and empty lists and objects", () => {
    assert.strictEqual(
      withOutlines(record(request + response)),
      record(
        ',"requestObject":{"spec":{}},"responseObject":{"kind":"Deployment",' +
          '"metadata":{"name":"web","labels":{},"managedFields":[]},"spec":{},"items":[],"count":2,"gone":null}'
      )
    )
  })

  it("keeps what tells of a deleted object, and of a dry run", () => {
    const bodies =
      ',"requestObject":{"kind":"Eviction","deleteOptions":{"dryRun":["All"]}}' +
      ',"responseObject":{"kind":"Status","details":{"name":"web","uid":"u","causes":[{"reason":"x"}]}}'
    assert.strictEqual(withOutlines(record(bodies)), record(bodies.replace('{"reason":"x"}', "")))
  })

  it("looks no deeper, however deep a body is", () => {
    const deep = `${'{"metadata":'.repeat(100_000)}{}${"}".repeat(100_000)}`
    const bodies = `,"requestObject":${deep},"responseObject":{"metadata":{"metadata":{"name":"x"}}}`
    assert.strictEqual(
      withOutlines(record(bodies)),
      record(',"requestObject":{"metadata":{"metadata":{}}},"responseObject":{"metadata":{"metadata":{}}}')
    )
  })

  it("is all of it where a key is escaped, for it may be any, and where there are spaces", () => {
    for (const body of [
      '{"m\\u0065tadata":{"name":"web"}}',
      '{ "spec":{"a":1}}',
      '{"spec" :{"a":1}}',
      '{"spec":{"a":1} }'
    ]) {
      const text = record(`,"responseObject":${body}`)
      assert.strictEqual(withOutlines(text), text)
    }
  })

  it("is all of it, or no JSON either, where quotes or brackets do not pair", () => {
    for (const body of [
      '{"spec":{"a":1}',
      '{"spec":{"a":[1}}',

      '{"spec":"a}',
      '{"spec":{"a":"}}'
    ]) {
      assert.throws(() => JSON.parse(withOutlines(record(`,"responseObject":${body}`))), SyntaxError)
    }
  })
})
