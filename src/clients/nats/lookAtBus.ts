/** What a NATS server holds, looked at once and left as it is: for a diagnosis. */
import { AckPolicy, DiscardPolicy, RetentionPolicy, StorageType } from "@nats-io/jetstream"
import { Duration, Effect, Schema, type Scope } from "effect"
import { nanosPerMilli } from "./Delivered.ts"
import { Connection, type ConnectionOptions } from "./Connection.ts"
