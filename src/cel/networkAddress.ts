/**
 * IP addresses and CIDRs in rules. As in Kubernetes, IPv4-mapped IPv6 addresses, zones and leading zeros are refused.
 *
 * @source https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-ip-address-library
 */
import type { Environment } from "@marcbachmann/cel-js"

export class Address {
  readonly family: 4 | 6
  readonly value: bigint
  constructor(family: 4 | 6, value: bigint) {
    this.family = family
    this.value = value
  }
  /** The canonical text: RFC 5952 for IPv6. */
  toString(): string {
    if (this.family === 4) return [24n, 16n, 8n, 0n].map((shift) => (this.value >> shift) & 0xffn).join(".")
    const groups = Array.from({ length: 8 }, (_, index) =>
      ((this.value >> BigInt(112 - 16 * index)) & 0xffffn).toString(16)
    )
    const zeros = [...groups.join(":").matchAll(/(?<![^:])0(?::0)+(?![^:])/g)].sort(
      (left, right) => right[0].length - left[0].length || left.index - right.index
    )[0]
    if (zeros === undefined) return groups.join(":")
    const text = groups.join(":")
    return `${text.slice(0, zeros.index).replace(/:$/, "")}::${text.slice(zeros.index + zeros[0].length).replace(/^:/, "")}`
  }
}

export class AddressRange {
  readonly address: Address
  readonly prefixLength: number
  constructor(address: Address, prefixLength: number) {
    this.address = address
    this.prefixLength = prefixLength
  }
  masked(): AddressRange {
    const rest = BigInt((this.address.family === 4 ? 32 : 128) - this.prefixLength)
    return new AddressRange(new Address(this.address.family, (this.address.value >> rest) << rest), this.prefixLength)
  }
  contains({ family, value }: Address): boolean {
    const rest = BigInt((family === 4 ? 32 : 128) - this.prefixLength)
    return family === this.address.family && value >> rest === this.address.value >> rest
  }
  toString(): string {
    return `${this.address}/${this.prefixLength}`
  }
}

const byte = /^(?:0|[1-9]\d{0,2})$/

/** @returns undefined when the text is no address */
export const addressFrom = (text: string): Address | undefined => {
  if (text.length > 45) return undefined
  return text.includes(":") ? addressFromGroups(text) : addressFromBytes(text)
}

const addressFromBytes = (text: string): Address | undefined => {
  const bytes = text.split(".")
  if (bytes.length !== 4 || !bytes.every((part) => byte.test(part) && Number(part) < 256)) return undefined
  return new Address(
    4,
    bytes.reduce((value, part) => (value << 8n) | BigInt(part), 0n)
  )
}

const addressFromGroups = (text: string): Address | undefined => {
  const halves = text.split("::")
  if (halves.length > 2) return undefined
  const groupsOf = (half: string): ReadonlyArray<string> => {
    if (half === "") return []
    const groups = half.split(":")
    // The last 32 bits may be written as IPv4.
    const last = addressFromBytes(groups.at(-1)!)
    return last === undefined
      ? groups
      : [...groups.slice(0, -1), (last.value >> 16n).toString(16), (last.value & 0xffffn).toString(16)]
  }
  const [head, tail] = [groupsOf(halves[0]!), groupsOf(halves[1] ?? "")]
  const missing = 8 - head.length - tail.length
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined
  const groups = [...head, ...Array.from({ length: missing }, () => "0"), ...tail]
  if (!groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined
  const value = groups.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n)
  return value >> 32n === 0xffffn ? undefined : new Address(6, value)
}

/** @returns undefined when the text is no CIDR; bits beyond the prefix may be set */
export const addressRangeFrom = (text: string): AddressRange | undefined => {
  const match = /^(.+)\/(0|[1-9]\d{0,2})$/.exec(text)
  const address = match === null ? undefined : addressFrom(match[1]!)
  const prefixLength = Number(match?.[2])
  if (address === undefined || prefixLength > (address.family === 4 ? 32 : 128)) return undefined
  return new AddressRange(address, prefixLength)
}

const within =
  (range: string) =>
  ({ family, value }: Address): boolean =>
    addressRangeFrom(range)!.contains(new Address(family, value))

const isLoopback = (address: Address) => within("127.0.0.0/8")(address) || within("::1/128")(address)
const isUnspecified = ({ value }: Address) => value === 0n
const isLinkLocalUnicast = (address: Address) => within("169.254.0.0/16")(address) || within("fe80::/10")(address)
const isLinkLocalMulticast = (address: Address) => within("224.0.0.0/24")(address) || within("ff02::/16")(address)
const isMulticast = (address: Address) => within("224.0.0.0/4")(address) || within("ff00::/8")(address)
const isGlobalUnicast = (address: Address) =>
  !isLoopback(address) &&
  !isUnspecified(address) &&
  !isLinkLocalUnicast(address) &&
  !isMulticast(address) &&
  !within("255.255.255.255/32")(address)

/** Holds the functions that are called as `ip.isCanonical(text)`. */
class AddressFunctions {
  readonly isCanonical = (text: string): boolean => {
    const address = addressFrom(text)
    if (address === undefined) throw new Error("the text is no IP address")
    return address.toString() === text
  }
}

export const registerNetworkAddresses = (environment: Environment): void => {
  const [ip, cidr, functions] = ["net.IP", "net.CIDR", "activity.IP"]
  const read =
    <A>(from: (text: string) => A | undefined, what: string) =>
    (text: string): A => {
      const value = from(text)
      if (value === undefined) throw new Error(`the text is no ${what}`)
      return value
    }
  const address = read(addressFrom, "IP address")
  const range = read(addressRangeFrom, "CIDR")
  const containsRange = (outer: AddressRange, inner: AddressRange): boolean =>
    outer.prefixLength <= inner.prefixLength && outer.contains(inner.address)
  environment
    .registerType(ip!, Address)
    .registerType(cidr!, AddressRange)
    .registerType(functions!, AddressFunctions)
    .registerConstant("ip", functions!, new AddressFunctions())
    .registerFunction(`${functions}.isCanonical(string): bool`, ({ isCanonical }: AddressFunctions, text: string) =>
      isCanonical(text)
    )
    .registerFunction("isIP(string): bool", (text: string) => addressFrom(text) !== undefined)
    .registerFunction(`ip(string): ${ip}`, address)
    .registerFunction(`string(${ip}): string`, String)
    .registerFunction(`${ip}.family(): int`, ({ family }: Address) => BigInt(family))
    .registerFunction(`${ip}.isUnspecified(): bool`, isUnspecified)
    .registerFunction(`${ip}.isLoopback(): bool`, isLoopback)
    .registerFunction(`${ip}.isLinkLocalMulticast(): bool`, isLinkLocalMulticast)
    .registerFunction(`${ip}.isLinkLocalUnicast(): bool`, isLinkLocalUnicast)
    .registerFunction(`${ip}.isGlobalUnicast(): bool`, isGlobalUnicast)
    .registerOperator(`${ip} == ${ip}`, (left: Address, right: Address) => String(left) === String(right))
    .registerFunction("isCIDR(string): bool", (text: string) => addressRangeFrom(text) !== undefined)
    .registerFunction(`cidr(string): ${cidr}`, range)
    .registerFunction(`string(${cidr}): string`, String)
    .registerFunction(`${cidr}.ip(): ${ip}`, (value: AddressRange) => value.address)
    .registerFunction(`${cidr}.masked(): ${cidr}`, (value: AddressRange) => value.masked())
    .registerFunction(`${cidr}.prefixLength(): int`, (value: AddressRange) => BigInt(value.prefixLength))
    .registerFunction(`${cidr}.containsIP(${ip}): bool`, (outer: AddressRange, inner: Address) => outer.contains(inner))
    .registerFunction(`${cidr}.containsIP(string): bool`, (outer: AddressRange, inner: string) =>
      outer.contains(address(inner))
    )
    .registerFunction(`${cidr}.containsCIDR(${cidr}): bool`, containsRange)
    .registerFunction(`${cidr}.containsCIDR(string): bool`, (outer: AddressRange, inner: string) =>
      containsRange(outer, range(inner))
    )
    .registerOperator(`${cidr} == ${cidr}`, (left: AddressRange, right: AddressRange) => String(left) === String(right))
}
