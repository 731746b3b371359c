import { quoted } from "./parameters.ts"

/**
 * What every insert says, in the SQL text: one synchronous block, stored once per token; times in RFC 3339; a column
 * that the table lacks is refused (a schema older than the program), not dropped in silence.
 */
export const insertSettings = (token: string): string =>
  [
    "async_insert=0",
    "insert_deduplicate=1",
    `insert_deduplication_token=${quoted(token)}`,
    "date_time_input_format='best_effort'",
    "input_format_skip_unknown_fields=0",
    // A JSON object for a column of text is stored as it stands.
    "input_format_json_read_objects_as_strings=1",
    // A batch may span any number of weeks: old facts that come late are no fault.
    "max_partitions_per_insert_block=0"
  ].join(", ")
