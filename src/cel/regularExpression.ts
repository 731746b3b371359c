/**
 * Regular expressions that cannot run away: RE2 syntax and linear time, as CEL demands. JavaScript's own took 2.5 s for
 * 27 characters.
 */
import { RE2JS } from "re2js"
import { chargePattern, chargeScanned, chargeWork } from "./budget.ts"
import { patternSize } from "./patternSize.ts"

/** Compiled patterns kept that were not literals. */
const dynamicPatternsMax = 256

/** Characters of one pattern. */
const patternLengthMax = 1_024

/** Instructions of one pattern, about: compiling them takes 5 ms. */
const patternSizeMax = 2_000

/** A pattern that was a literal: compiled once, at admission. */
export class Pattern {
  readonly expression: RE2JS
  constructor(source: string) {
    if (source.length > patternLengthMax) throw new Error(`the pattern is longer than ${patternLengthMax} characters`)
    const size = patternSize(source)
    if (size > patternSizeMax)
      throw new Error(`the pattern repeats too much: ${size} steps, at most ${patternSizeMax} are allowed`)
    chargePattern(size)
    this.expression = RE2JS.compile(source)
  }
}

/** Units of work: compiling takes up to 2 µs for each instruction of a pattern's program. */
const compileWork = 20

/** Units of work: matching takes about 0.5 µs for each character, and 12 ns more for each instruction. */
const matchWork = 5
const instructionsPerWork = 8

const chargeMatching = (text: string, { expression }: Pattern): void => {
  chargeScanned(text.length)
  chargeWork(Math.ceil(text.length * (matchWork + expression.programSize() / instructionsPerWork)))
}

const dynamicPatterns = new Map<string, Pattern>()

/** @throws when `source` is no RE2 pattern */
export const patternFrom = (source: string): Pattern => {
  const known = dynamicPatterns.get(source)
  if (known !== undefined) return known
  chargeWork(patternSize(source) * compileWork)
  const pattern = new Pattern(source)
  // The oldest goes: a Map keeps the order of insertion.
  const oldest = dynamicPatterns.size >= dynamicPatternsMax ? dynamicPatterns.keys().next() : undefined
  if (oldest !== undefined && oldest.done !== true) dynamicPatterns.delete(oldest.value)
  dynamicPatterns.set(source, pattern)
  return pattern
}

/** True when any part of `text` matches, as CEL's `matches` says. */
export const isFound = (text: string, pattern: Pattern): boolean => {
  chargeMatching(text, pattern)
  return pattern.expression.matcher(text).find()
}

/** The matching parts of `text`, first to last, at most `countMax`. */
export const found = (text: string, pattern: Pattern, countMax: number): Array<string> => {
  chargeMatching(text, pattern)
  const matcher = pattern.expression.matcher(text)
  const parts: Array<string> = []
  while (parts.length < countMax && matcher.find()) parts.push(matcher.group() ?? "")
  return parts
}
