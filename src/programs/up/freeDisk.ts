import { statfsSync } from "node:fs"

/** Streams reserve their size when they are made. Of a small disk they take at most this part, all together. */
const shareMax = 0.4

/** What the default stream budgets are multiplied by so that they fit the disk of `folder`; 1 where there is room. */
export const streamScale = (folder: string, budgetBytes: number): number => {
  const disk = statfsSync(folder)
  return Math.min(1, (disk.bavail * disk.bsize * shareMax) / budgetBytes)
}
