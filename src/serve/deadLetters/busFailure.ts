import type { NatsError } from "../../clients/nats/Nats.ts"
import { type ApiFailure, unavailable } from "../ApiFailure.ts"

/** What a caller is told when the bus does not answer. */
export const busFailureFrom = (_: NatsError): ApiFailure => unavailable("the dead letters cannot be reached: try again")
