/** The CEL environments of both rule types, built once, and the log of the link() calls of the summary being rendered. */
import { type RuleEnvironments, ruleEnvironments } from "../cel/environments.ts"

export interface RecordedLink {
  readonly text: string
  readonly reference: unknown
}

/** Links of one summary; more are shown as plain text. */
const linksMax = 64

/**
 * Evaluation is synchronous and never nested, so one log serves all: it is emptied before each block.
 * While `marking`, each link's text is fenced, so that its place can be found where its text alone is ambiguous.
 */
export class LinkLog {
  links: Array<RecordedLink> = []
  marking = false

  start(marking: boolean): void {
    this.links = []
    this.marking = marking
  }

  readonly record = (text: string, reference: unknown): string => {
    if (this.links.length >= linksMax) return text
    this.links.push({ text, reference })
    return this.marking ? `${fenceOpen(this.links.length - 1)}${text}${fenceClose}` : text
  }
}

/** Code points of the supplementary private use plane: no text that is meant to be read holds them. */
const fenceBase = 0x100000
const fenceClose = String.fromCodePoint(0x10fffd)
const fenceOpen = (index: number): string => String.fromCodePoint(fenceBase + index)

export interface PlacedLink extends RecordedLink {
  readonly start: number
}

/** Takes the fences out of a marked text. A link whose fences are no longer a pair has no place. */
export const unmark = (
  marked: string,
  links: ReadonlyArray<RecordedLink>
): { readonly text: string; readonly placed: ReadonlyArray<PlacedLink> } => {
  const placed: Array<PlacedLink> = []
  const open: Array<{ readonly index: number; readonly start: number }> = []
  let text = ""
  for (const character of marked) {
    const code = character.codePointAt(0)!
    if (character === fenceClose) {
      const started = open.pop()
      const link = started === undefined ? undefined : links[started.index]
      if (started !== undefined && link !== undefined && text.slice(started.start) === link.text) {
        placed.push({ ...link, start: started.start })
      }
    } else if (code >= fenceBase && code < fenceBase + linksMax) {
      open.push({ index: code - fenceBase, start: text.length })
    } else text += character
  }
  return { text, placed }
}

export interface Dialect {
  readonly audit: RuleEnvironments
  readonly event: RuleEnvironments
  readonly links: LinkLog
}

let dialect: Dialect | undefined

export const ruleDialect = (): Dialect => {
  if (dialect === undefined) {
    const links = new LinkLog()
    dialect = { audit: ruleEnvironments("audit", links.record), event: ruleEnvironments("event", links.record), links }
  }
  return dialect
}
