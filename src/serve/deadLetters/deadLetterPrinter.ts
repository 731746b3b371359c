import type { Call } from "../http/Call.ts"
import { apiVersionOf, type ResourceRequest } from "../http/RequestInfo.ts"
import { includeObjectFrom, type Printer, printerFor } from "../Table.ts"
import { deadLetterColumns } from "./deadLetterColumns.ts"
import { deadLetterKind, type ServedDeadLetter } from "./servedDeadLetter.ts"

/** Gives groups in the form that the caller asked for. */
export const deadLetterPrinter = (
  call: Call,
  request: ResourceRequest,
  nowMillis: () => number
): Printer<ServedDeadLetter> =>
  printerFor(
    call.accepted.form,
    deadLetterColumns(nowMillis),
    { apiVersion: apiVersionOf(request), kind: deadLetterKind.kind },
    includeObjectFrom(call.query.get("includeObject"))
  )
