/** RBAC documents of a roles file: whoever is in the group may do everything. */
export const adminRoles = (group: string): string => `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: admin }
rules: [{ apiGroups: ["activity.miloapis.com"], resources: ["*"], verbs: ["*"] }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: admin }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin }
subjects: [{ kind: Group, apiGroup: rbac.authorization.k8s.io, name: ${group} }]
`
