/** A path as a person would type it in this process's working folder. */
export const pathFromHere = (path: string): string => {
  const here = `${process.cwd()}/`
  return path.startsWith(here) ? path.slice(here.length) : path
}
