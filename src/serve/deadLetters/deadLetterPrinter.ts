import type { Call } from "../http/Call.ts"
import type { ResourceRequest } from "../http/RequestInfo.ts"
import { type Printer, printerFor } from "../Table.ts"
import { deadLetterColumns } from "./deadLetterColumns.ts"
import { deadLetterKind, type ServedDeadLetter } from "./servedDeadLetter.ts"

export const deadLetterPrinter = (
  call: Call,
  request: ResourceRequest,
  nowMillis: () => number
): Printer<ServedDeadLetter> => printerFor(call, request, deadLetterKind.kind, deadLetterColumns(nowMillis))
