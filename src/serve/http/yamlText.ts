import { stringify } from "yaml"

/** As answers have it: no line is folded. */
export const yamlText = (value: unknown): string => stringify(value, { lineWidth: 0 })
