/** The lines that show more, ready to be copied. */
export const hintsText = (options: {
  readonly kubeconfig: string
  readonly api: string
  readonly audit: string
  readonly auditKubeconfig: string
  readonly exampleBatch: string
  readonly authority: string
  readonly tokenFile: string
  readonly ops: string
}): string => {
  const kubectl = `kubectl --kubeconfig ${options.kubeconfig}`
  const curl = `curl --cacert ${options.authority} -H "Authorization: Bearer $(cat ${options.tokenFile})"`
  return `
See more:
  ${kubectl} get activities -A
  ${kubectl} get activities -A -w
  ${kubectl} explain activity.spec
  ${kubectl} get activitypolicies
  ${kubectl} get --raw '/apis/activity.miloapis.com/v1/activities?search=deployment&limit=5'
  ${curl} '${options.api}/apis/activity.miloapis.com/v1/activities?limit=5'
Of the last seven days, where lists without a start have the last hour:
  ${kubectl} get --raw '/apis/activity.miloapis.com/v1/activities?start=now-7d&limit=5'
Send audit records, or point a kube-apiserver here (--audit-webhook-config-file=${options.auditKubeconfig}):
  curl --cacert ${options.authority} --data-binary @${options.exampleBatch} ${options.audit}
Probes and metrics: ${options.ops}/readyz ${options.ops}/metrics
Ctrl-C stops everything; the next start continues.
`
}
