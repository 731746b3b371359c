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

/** `TYPE/NAME` as `--tenant` and the `Activity-Tenant` header spell it. The name may hold slashes, the type may not. */
export const tenantText = (tenant: Tenant): string => `${tenant.type}/${tenant.name}`

/** Reads `TYPE/NAME`; a text without a slash is a type with an empty name. */
export const tenantFromText = (text: string): Tenant => {
  const slash = text.indexOf("/")
  return slash < 0
    ? { type: tenantTypeFrom(text), name: "" }
    : { type: tenantTypeFrom(text.slice(0, slash)), name: text.slice(slash + 1) }
}
