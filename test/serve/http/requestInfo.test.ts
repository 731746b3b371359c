import { describe, expect, it } from "vitest"
import { acceptedForm } from "../../../src/serve/http/accept.ts"
import { nameFault, requestInfo } from "../../../src/serve/http/RequestInfo.ts"

describe("request info", () => {
  const of = (method: string, target: string) => {
    const url = new URL(target, "https://api")
    const info = requestInfo(method, url.pathname, url.searchParams)
    return info._tag === "Path"
      ? `${info.verb} ${info.path}`
      : [info.verb, info.group, info.version, info.resource, info.subresource, info.namespace, info.name].join("|")
  }
  it.each([
    ["GET", "/apis/g/v/things", "list|g|v|things|||"],
    ["GET", "/apis/g/v/things?watch=1", "watch|g|v|things|||"],
    ["GET", "/apis/g/v/things?watch=false", "list|g|v|things|||"],
    ["GET", "/apis/g/v/things?watch=true&fieldSelector=metadata.name%3Dx", "watch|g|v|things|||x"],
    ["GET", "/apis/g/v/things/x", "get|g|v|things|||x"],
    ["GET", "/apis/g/v/namespaces/n/things", "list|g|v|things||n|"],
    ["PUT", "/apis/g/v/namespaces/n/things/x/status", "update|g|v|things|status|n|x"],
    ["DELETE", "/apis/g/v/things", "deletecollection|g|v|things|||"],
    ["DELETE", "/apis/g/v/things/x", "delete|g|v|things|||x"],
    ["DELETE", "/apis/g/v/things?fieldSelector=metadata.name%3D%3Dx", "deletecollection|g|v|things|||x"],
    ["GET", "/apis/g/v/things?fieldSelector=metadata.name%3Dx%2Ca%3Db", "list|g|v|things|||"],
    ["GET", "/apis/g/v/things/x?fieldSelector=metadata.name%3Dy", "get|g|v|things|||x"],
    ["POST", "/apis/g/v/things?fieldSelector=metadata.name%3Dx", "create|g|v|things|||"],
    ["PUT", "/apis/g/v/things?fieldSelector=metadata.name%3Dx", "update|g|v|things|||"],
    ["PATCH", "/apis/g/v/things?fieldSelector=metadata.name%3Dx", "patch|g|v|things|||"],
    ["GET", "/apis/g/v", "get /apis/g/v"],
    ["GET", "/apis/g/v/a/b/c/d", "get /apis/g/v/a/b/c/d"],
    ["POST", "/version", "post /version"]
  ])("%s %s", (method, target, expected) => expect(of(method, target)).toBe(expected))

  const faultOf = (target: string) => {
    const url = new URL(target, "https://api")
    return nameFault(requestInfo("DELETE", url.pathname, url.searchParams))
  }
  // As k8s.io/apimachinery's path.IsValidPathSegmentName refuses names.
  it.each([
    ["/apis/g/v/things/%2F", "/", "may not contain '/'"],
    ["/apis/g/v/things/a%2Fstatus", "a/status", "may not contain '/'"],
    ["/apis/g/v/things/a%252Fb", "a%2Fb", "may not contain '%'"],
    ["/apis/g/v/things/%E0%A4%A", "%E0%A4%A", "may not contain '%'"],
    ["/apis/g/v/namespaces/n%2F..%2Fm/things/x", "n/../m", "may not contain '/'"],
    ["/apis/g/v/things%2Fx", "things/x", "may not contain '/'"],
    ["/apis/g/v/things%2Fx/y", "things/x", "may not contain '/'"],
    ["/apis/g/v/things/x/a%2Fb", "a/b", "may not contain '/'"],
    ["/apis/g/v/things?fieldSelector=metadata.name%3Da%2Fb", "a/b", "may not contain '/'"],
    ["/apis/g/v/things?fieldSelector=metadata.name%3D..", "..", "may not be '..'"],
    ["/apis/g/v/things?fieldSelector=metadata.name%3D.", ".", "may not be '.'"],
    ["/apis/g/v/things/a..b.%C3%A9", undefined, ""]
  ])("%s", (target, name, fault) =>
    expect(faultOf(target)).toBe(
      name === undefined ? undefined : `invalid resource name ${JSON.stringify(name)}: [${fault}]`
    )
  )
})

describe("accepted forms", () => {
  const tagOf = (header: string) => {
    const accepted = acceptedForm(header)
    return accepted === undefined ? undefined : `${accepted.form._tag} ${accepted.encoding}`
  }
  it.each([
    ["", "Object json"],
    ["*/*", "Object json"],
    ["application/yaml", "Object yaml"],
    ["application/json;as=Table;v=v1;g=meta.k8s.io,application/json", "Table json"],
    ["application/json;as=Table;v=v2;g=meta.k8s.io, application/json", "Object json"],
    ["application/vnd.kubernetes.protobuf, application/json", "Object json"],
    [
      "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
      "Metadata json"
    ],
    ["application/json;as=Something;v=v1;g=x", undefined],
    ["text/html", undefined]
  ])("%s", (header, expected) => expect(tagOf(header)).toBe(expected))

  it.each([
    ["application/jsonl", "application/jsonl", undefined],
    ["application/x-ndjson;q=0.9, application/json", "application/x-ndjson", "Object json"],
    ["text/html, Text/CSV; header=present, */*", "text/csv", "Object json"],
    ["application/json, text/csv", undefined, "Object json"],
    ["application/vnd.example+jsonl", undefined, undefined]
  ])("%s is an export where there is one", (header, type, otherwise) => {
    const accepted = acceptedForm(header, true)
    expect(accepted?.form._tag === "Export" ? accepted.form.type : undefined).toBe(type)
    expect(tagOf(header)).toBe(otherwise)
  })
})
