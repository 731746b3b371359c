/**
 * What `/metrics` says: our own metrics (Effect's registry), and the process's and its garbage collector's
 * (prom-client).
 *
 * Our names are `activity_<program>_<what>_<unit|total>`; label values come from fixed sets, never from data.
 */
import { Context, Effect, Layer, Metric } from "effect"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import { collectDefaultMetrics, Registry } from "prom-client"

export class Metrics extends Context.Service<
  Metrics,
  {
    /** Prometheus text, format 0.0.4. */
    readonly text: Effect.Effect<string>
    readonly contentType: string
    /** Called before each scrape: sets gauges from state that others keep. */
    readonly onScrape: (update: Effect.Effect<void>) => Effect.Effect<void>
  }
>()("activity/runtime/Metrics") {
  static readonly layer = Layer.effect(
    Metrics,
    Effect.sync(() => {
      const registry = new Registry()
      collectDefaultMetrics({ register: registry })
      const updates: Array<Effect.Effect<void>> = []
      return Metrics.of({
        contentType: "text/plain; version=0.0.4; charset=utf-8",
        onScrape: (update) => Effect.sync(() => void updates.push(update)),
        text: Effect.gen(function* () {
          yield* Effect.all(updates, { discard: true })
          const own = yield* PrometheusMetrics.format()
          const process = yield* Effect.promise(() => registry.metrics())
          return `${own}\n${process}`
        })
      })
    })
  )
}

/** A counter family with one label, each of whose values is made once and kept: attaching per call costs four times as much. */
export const counterFamily = <const Value extends string>(
  name: string,
  description: string,
  label: string,
  values: ReadonlyArray<Value>
): Readonly<Record<Value, Metric.Counter<number>>> => {
  const family = Metric.counter(name, { description, incremental: true })
  // Object.fromEntries widens the keys to string; they are exactly `values`.
  return Object.fromEntries(
    values.map((value) => [value, Metric.withAttributes(family, { [label]: value })])
  ) as unknown as Readonly<Record<Value, Metric.Counter<number>>>
}

/** Seconds, from a millisecond to a minute. */
export const secondsBoundaries = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
