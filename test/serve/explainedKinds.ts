/** What `kubectl explain` is asked for, and a field that it must know: each kind, by one of its names. */
export const explainedKinds: ReadonlyArray<readonly [path: string, field: RegExp]> = [
  ["activities.spec", /summary\t<string> -required-/],
  ["act.spec.changes", /field\t<string> -required-/],
  ["eventrecords.event", /note\t<string>/],
  ["evr", /event\t<Object>/],
  ["deadletters.spec", /cause\t<string>/],
  ["dl.status", /newest\t<\[\]Object>/],
  ["policypreviews.spec", /autoFetch\t<Object>/],
  ["policypreview.status", /results\t<\[\]Object>/],
  ["reindexjobs.spec.timeRange", /startTime\t<string> -required-/],
  ["rj.status.progress", /processedEvents\t<integer>/]
]
