/**
 * Whose a fact is: Organization, Project, User, Platform, or a type as its source wrote it.
 *
 * Known types are stored in this spelling whatever case the source used; Platform has an empty name.
 */
export interface Tenant {
  readonly type: string
  readonly name: string
}

export const knownTenantTypes = ["Organization", "Project", "User", "Platform"] as const

export const platformTenant: Tenant = { type: "Platform", name: "" }

const spellings = new Map<string, string>(knownTenantTypes.map((type) => [type.toLowerCase(), type]))

/** The stored spelling of a tenant type: known types without case, others as written. */
export const tenantTypeFrom = (text: string): string => spellings.get(text.toLowerCase()) ?? text

/** Reads `TYPE/NAME` as `--tenant` spells it; the name may hold slashes. A text without a slash is a type. */
export const tenantFromText = (text: string): Tenant => {
  const slash = text.indexOf("/")
  return slash < 0
    ? { type: tenantTypeFrom(text), name: "" }
    : { type: tenantTypeFrom(text.slice(0, slash)), name: text.slice(slash + 1) }
}

/**
 * A tenant as one header value: both halves percent-encoded, so that no two tenants meet whatever they are called.
 * A header by itself would lose space at its ends, and could not hold a line break.
 */
export const tenantHeader = (tenant: Tenant): string => `${encoded(tenant.type)}/${encoded(tenant.name)}`

/** Reads {@link tenantHeader}. What is no such value is a tenant that nobody has. */
export const tenantFromHeader = (header: string): Tenant => {
  const [type = "", name = ""] = header.split("/")
  return { type: decoded(type), name: decoded(name) }
}

// Half of a surrogate pair has no encoding; it becomes the replacement character, as it does in every UTF-8 text.
const encoded = (text: string): string => encodeURIComponent(text.toWellFormed())

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
