/** Renders a summary, and finds where each link stands in it. */
import { BudgetExceeded, summaryLengthMax } from "../cel/budget.ts"
import { EvaluationFailed } from "../cel/Expression.ts"
import { positionOf } from "../cel/position.ts"
import type { Template, TemplateBlock } from "../cel/Template.ts"
import { valueText } from "../cel/valueText.ts"
import { type PlacedLink, ruleDialect, unmark } from "./dialect.ts"

export interface RenderedSummary {
  readonly text: string
  /** In the order they stand in the text; `start` counts UTF-16 code units of the whole text. */
  readonly links: ReadonlyArray<PlacedLink>
}

export interface RenderingFailed {
  readonly message: string
  readonly line: number
  readonly column: number
}

export const isRenderingFailed = (result: RenderedSummary | RenderingFailed): result is RenderingFailed =>
  "message" in result

/** A summary is one line of valid Unicode: line breaks and control characters of its values become a space. */
export const renderSummary = (
  template: Template,
  variables: Readonly<Record<string, unknown>>
): RenderedSummary | RenderingFailed => {
  let text = ""
  const links: Array<PlacedLink> = []
  for (const part of template.parts) {
    if (typeof part === "string") {
      text += oneLine(part)
      continue
    }
    const rendered = renderBlock(part, variables)
    if (rendered instanceof EvaluationFailed) {
      return { message: rendered.message, ...positionOf(template.source, part.offset + rendered.offset) }
    }
    for (const link of rendered.links) links.push({ ...link, start: text.length + link.start })
    text += rendered.text
    if (text.length > summaryLengthMax) {
      const { message } = new BudgetExceeded(`a summary of more than ${summaryLengthMax} characters`)
      return { message, ...positionOf(template.source, part.offset) }
    }
  }
  return text.trim() === ""
    ? { message: "the summary is empty", line: 1, column: 1 }
    : { text, links: links.sort((one, other) => one.start - other.start) }
}

const renderBlock = (
  block: TemplateBlock,
  variables: Readonly<Record<string, unknown>>
): RenderedSummary | EvaluationFailed => {
  const { links: log } = ruleDialect()
  log.start(false)
  const text = blockText(block, variables)
  if (text instanceof EvaluationFailed || log.links.length === 0) {
    return text instanceof EvaluationFailed ? text : { text, links: [] }
  }
  const links = log.links.map(({ text: marker, reference }) => ({ text: oneLine(marker), reference }))
  const placed = links.map((link) => ({ ...link, start: text.indexOf(link.text) }))
  // The text alone tells the place when each marker stands there once.
  if (placed.every((link) => link.text !== "" && link.start >= 0 && text.lastIndexOf(link.text) === link.start)) {
    return { text, links: placed }
  }
  log.start(true)
  const marked = blockText(block, variables)
  const unmarked = marked instanceof EvaluationFailed ? undefined : unmark(marked, links)
  // An expression that looks at the fenced text (its size, say) may come out otherwise: then the first place counts.
  return unmarked !== undefined && unmarked.text === text
    ? { text, links: unmarked.placed.filter((link) => link.text !== "") }
    : { text, links: placed.filter((link) => link.text !== "" && link.start >= 0) }
}

const blockText = (block: TemplateBlock, variables: Readonly<Record<string, unknown>>): string | EvaluationFailed => {
  const value = block.expression.evaluate(variables)
  if (value instanceof EvaluationFailed) return value
  if (typeof value === "string") return oneLine(value)
  try {
    return oneLine(valueText(value))
  } catch (error) {
    return new EvaluationFailed(error instanceof Error ? error.message : String(error), 0, false)
  }
}

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const oneLine = (text: string): string => text.toWellFormed().replace(/[\u0000-\u001f\u007f\u2028\u2029]+/g, " ")
