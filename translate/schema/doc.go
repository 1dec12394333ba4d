// Package schema owns JSON Schema as the translators need it: values with their members in order, the lossless 2020-12 schema that
// validates a tool's arguments ([Full]), the published one that models see ([Publish]), the relaxed one for results ([PublishResult]), the
// structural lint, and validation with faults that can be acted on.
//
// It stands below the translators, which turn descriptions into it; it knows no description format.
//
// Decisions:
//
//   - A schema is a plain tree of [Value], not a typed model: a typed model fails on the first keyword that is written in an unexpected way,
//     and loses those it does not know. Order and number literals survive.
//   - Two schemas per tool. The full one keeps every rule and shares definitions through $defs, so it stays small where an inlined one
//     grows to hundreds of kilobytes. The published one has no $ref at all, because clients drop $defs, and is cut to a byte budget. Cutting
//     only ever takes rules away: whatever the full schema accepts, the published one accepts.
//   - Publishing writes bytes straight from the full schema and stops at the budget, so that its cost is bounded by the budget and not by
//     what the schema would be when written out.
//   - Validation is santhosh-tekuri/jsonschema: the fastest to compile of those that hold 2020-12. google/jsonschema-go was turned down: a
//     schema that refers to itself without a step into the instance ends the process. Here such a schema is refused by [Lint] before it is
//     compiled, and the loader refuses every address.
//   - Formats are not asserted: descriptions are wrong about them too often. Patterns are RE2; others are left out by whoever builds the schema,
//     since a backtracking engine lets an argument stop the gateway.
package schema
