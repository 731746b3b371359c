/**
 * What one expression may cost. cel-js has no limits at run time: three nested `all` over 300 items took 2.4 s.
 *
 * Limits on the text are checked when a policy is admitted; the work of an evaluation is counted while it runs, by the
 * nodes that can multiply it (comprehensions, `+` and the functions that build texts and lists).
 */

/** Characters of one expression. The longest rule of the recorded policies has 300. */
export const expressionLengthMax = 16_384

/** Syntax nodes of one expression. */
export const expressionNodesMax = 2_000

/** Comprehensions (all, exists, exists_one, map, filter, cel.bind) inside one another. */
export const comprehensionNestingMax = 3

/** Steps of all comprehensions of one evaluation together. */
export const evaluationStepsMax = 100_000

/** Characters and list items that one evaluation may build: the largest record has 1.5 million characters. */
export const evaluationBuiltMax = 4_194_304

/** Characters and list items that the comprehensions of one evaluation may read through: about 50 ms of searching. */
export const evaluationScannedMax = 67_108_864

/**
 * Work of all rules of all policies for one record or Event together, in units of at most 100 ns: a node of a rule's syntax
 * tree, a node of a comprehension's body for each item, 16 characters read or built. It is what keeps a batch of
 * records from stopping the processor; the recorded data needs at most a hundredth.
 */
export const recordWorkMax = 200_000

/** Units of work of a failed operation: making cel-js's error and carrying it out of a chain of `||` takes up to 20 µs. */
export const failureWork = 200

/** Characters and items that are read or built in one unit of work. */
const charactersPerWork = 16

/** Instructions of all literal patterns of one policy, about: compiling them takes up to 100 ms, in one piece. */
export const policyPatternsMax = 20_000

/** Characters of one rendered summary. */
export const summaryLengthMax = 8_192

/** An evaluation asked for more than its budget. It is a property of policy and record: trying again does not help. */
export class BudgetExceeded extends Error {
  readonly _tag = "BudgetExceeded"
  readonly limit: string
  constructor(limit: string) {
    super(`evaluation budget exceeded: ${limit}`)
    this.limit = limit
  }
}

let steps = 0
let built = 0
let scanned = 0
let work = 0
let inRecord = false
let exceeded: BudgetExceeded | undefined

/** One budget for every evaluation in `evaluate`, which must be synchronous. Elsewhere each evaluation has its own. */
export const withRecordBudget = <A>(evaluate: () => A): A => {
  work = 0
  inRecord = true
  try {
    return evaluate()
  } finally {
    inRecord = false
  }
}

let patterns: number | undefined

/** One budget for the patterns that are compiled in `compile`, which must be synchronous. */
export const withPatternBudget = <A>(compile: () => A): A => {
  patterns = 0
  try {
    return compile()
  } finally {
    patterns = undefined
  }
}

/** @throws when the patterns of a policy are too many; outside of {@link withPatternBudget} there is no bound */
export const chargePattern = (size: number): void => {
  if (patterns === undefined) return
  patterns += size
  if (patterns > policyPatternsMax)
    throw new Error(`the policy's patterns together have more than ${policyPatternsMax} steps`)
}

/** Units of work since the record's start. */
export const workDone = (): number => work

/**
 * The counters belong to the module because cel-js hands no context to functions; an evaluation runs to its end before
 * the next one starts, so they are never shared.
 */
export const startBudget = (): void => {
  steps = 0
  built = 0
  scanned = 0
  exceeded = undefined
  if (!inRecord) work = 0
}

/** Set once the budget is gone, even where CEL's `||` and `&&` have swallowed the error. */
export const budgetExceeded = (): BudgetExceeded | undefined => exceeded

export const chargeWork = (units: number): void => {
  work += units
  if (work > recordWorkMax) refuse(`more than ${recordWorkMax} units of work for one record`)
}

/** @param workEach units of work of each step */
export const chargeSteps = (count: number, workEach: number): void => {
  steps += count
  if (steps > evaluationStepsMax) refuse(`more than ${evaluationStepsMax} steps in comprehensions`)
  chargeWork(count * workEach)
}

export const chargeBuilt = (size: number): void => {
  built += size
  if (built > evaluationBuiltMax) refuse(`texts and lists of more than ${evaluationBuiltMax} characters and items`)
  chargeWork(Math.ceil(size / charactersPerWork))
}

export const chargeScanned = (size: number): void => {
  scanned += size
  if (scanned > evaluationScannedMax) refuse(`more than ${evaluationScannedMax} characters and items read`)
  chargeWork(Math.ceil(size / charactersPerWork))
}

const refuse = (limit: string): never => {
  exceeded ??= new BudgetExceeded(limit)
  throw exceeded
}
