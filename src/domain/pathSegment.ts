/** What may be one segment of a path of a Kubernetes API: the name of an object, of a namespace, of a resource. */

/**
 * A sentence for what is none, in Kubernetes' words. Who puts such a name into a path asks for another object than the one
 * that was meant, or for a whole collection.
 */
export const pathSegmentFault = (name: string): string | undefined => {
  if (name === "") return "must not be empty"
  if (name === "." || name === "..") return `may not be '${name}'`
  const wrong = ["/", "%"].find((character) => name.includes(character))
  return wrong === undefined ? undefined : `may not contain '${wrong}'`
}
