import { assert, describe, it } from "@effect/vitest"
import {
  activityKey,
  activityKeyFromName,
  activityName,
  activityVersion,
  auditRecordKey,
  kubernetesEventKey,
  kubernetesEventVersion
} from "../../src/domain/identity.ts"

const eventUid = "8fd85d52-83bd-4d0b-8f5c-24b750232d33"

const deletion = {
  cluster: "dev",
  auditID: "ee6d23d4-5aae-4ead-9919-2db4ea467e5f",
  stage: "ResponseComplete",
  requestReceivedTimestamp: "2026-11-20T15:07:48.321050Z",
  username: "alice@example.com",
  verb: "delete",
  requestURI: "/apis/apps/v1/namespaces/a/deployments/b"
}

// The expected values were made with Python's uuid.uuid5 and hashlib from the definition in decision 0007-identity.
describe("identity", () => {
  it("keys are UUIDv5 of their parts, and never change", () => {
    assert.strictEqual(auditRecordKey(deletion), "ad3ea11b-328a-5aa1-9d80-372d63082e4a")
    assert.strictEqual(kubernetesEventKey("dev", eventUid), "e526b097-d98b-52d1-800e-3e3f9ed57377")
    assert.strictEqual(kubernetesEventVersion("dev", eventUid, "350"), "51b62123-87d4-57ad-b75d-2decc29eda2b")
    assert.strictEqual(activityKey("dev", "event", eventUid), "fd7bf7f9-e2f2-5492-a850-c080ef074e82")
  })

  it("an activity's name leads to its key and back", () => {
    const key = "fd7bf7f9-e2f2-5492-a850-c080ef074e82"
    assert.strictEqual(activityName(key), "act-fd7bf7f9e2f25492a850c080ef074e82")
    assert.strictEqual(activityKeyFromName(activityName(key)), key)
    for (const wrong of [
      "",
      "act-",
      "act-xyz",
      `act-${key}`,
      `${activityName(key)}0`,
      activityName(key).toUpperCase()
    ]) {
      assert.isUndefined(activityKeyFromName(wrong))
    }
  })

  it("a version is the key and a hash of what is told", () => {
    const key = "fd7bf7f9-e2f2-5492-a850-c080ef074e82"
    assert.strictEqual(
      activityVersion(key, "live", "v1", "", "{}"),
      "fd7bf7f9-e2f2-5492-a850-c080ef074e82-deb5f86e9baf113b"
    )
    const others = [
      activityVersion(key, "deleted", "v1", "", "{}"),
      activityVersion(key, "live", "v2", "", "{}"),
      activityVersion(key, "live", "v1", "job", "{}"),
      activityVersion(key, "live", "v1", "", "{ }")
    ]
    assert.strictEqual(new Set([activityVersion(key, "live", "v1", "", "{}"), ...others]).size, 5)
  })

  it("every part of an audit record's identity counts", () => {
    const changed = Object.keys(deletion).map((name) => auditRecordKey({ ...deletion, [name]: "other" }))
    assert.strictEqual(new Set([auditRecordKey(deletion), ...changed]).size, 8)
  })

  it("parts cannot be shifted into one another", () => {
    assert.notStrictEqual(kubernetesEventKey("a", "bc"), kubernetesEventKey("ab", "c"))
    assert.notStrictEqual(kubernetesEventKey('a","b', "c"), kubernetesEventVersion("a", "b", "c"))
  })
})
