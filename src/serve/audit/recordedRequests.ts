/**
 * Which requests of this API become audit records:
 *
 * - direct: those that no kube-apiserver passed on; what it passes on it records itself, under the same audit ID
 * - all: those too, as a second record
 * - none
 */
export const recordedRequests = ["direct", "all", "none"] as const
export type RecordedRequests = (typeof recordedRequests)[number]
