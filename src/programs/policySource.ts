import { Effect, Layer } from "effect"
import { PolicySource } from "../process/PolicySource.ts"
import { PolicyStore } from "../store/PolicyStore.ts"

/** The policies that the store keeps, for those who evaluate by them. */
export const policySourceLayer = Layer.effect(
  PolicySource,
  Effect.map(PolicyStore, (store) => PolicySource.of({ changes: store.updates }))
)
