/**
 * What all bodies together may hold in memory. Bytes count as they arrive, so that a sender who says much and sends
 * little keeps nobody else out; a body that finds no room gives back what it has, and the others go on.
 */

export interface BodyRoom {
  readonly sizeBytesMax: number
  readonly share: () => BodyShare
}

/** Of one body. */
export interface BodyShare {
  readonly sizeBytesMax: number
  /** False when there is no room for so many bytes more; then nothing is taken. */
  readonly take: (bytes: number) => boolean
  /** All that was taken. */
  readonly giveBack: () => void
}

export const makeBodyRoom = (sizeBytesMax: number): BodyRoom => {
  let held = 0
  return {
    sizeBytesMax,
    share: () => {
      let own = 0
      return {
        sizeBytesMax,
        take: (bytes) => {
          if (held + bytes > sizeBytesMax) return false
          held += bytes
          own += bytes
          return true
        },
        giveBack: () => {
          held -= own
          own = 0
        }
      }
    }
  }
}
