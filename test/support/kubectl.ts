/** The kubectl that tests call: see {@link findGoProgram} for where it comes from. */
import { findGoProgram } from "./goPrograms.ts"

/**
 * A command that answers `version --client`.
 *
 * @throws Error with one sentence for each place that was looked at
 */
export const findKubectl = (environment: NodeJS.ProcessEnv = process.env): Promise<string> =>
  findGoProgram("kubectl", environment)
