// Package config owns the configuration file: where it is found, how it is read and checked, and how the references in its values are
// resolved.
//
// It stands before the line: the wiring reads a [File], hands its sections to the packages that own them, and gives [Expander.Expand] to
// those that need the values. Nothing here starts or connects to anything.
//
// Decisions:
//
//   - One form of value for YAML and JSON, one strict walk over it. The decoders' own strict modes stop at the first problem, give no
//     column, or leak Go type names; viper and koanf say nothing about a misspelt key. A person gets all problems at once, each with its
//     place and the nearest name.
//   - Sections are the Specs of the packages that use them, found by their yaml tags. There are no parallel structs. An int64 is a size in
//     bytes, an int a count, a time.Duration needs its unit.
//   - The file is the mcpServers object that clients share, with keys of weir's beside it. A client's own file runs unchanged: its dialect is
//     rewritten to weir's keys at their places and then walked like any other, except that unknown keys are warnings. See isClient for
//     which is which.
//   - References are checked when the file is read and resolved when a value is used. The File keeps the text as written, so what shows a
//     configuration cannot show a secret. Error texts and excerpts quote values only of keys that cannot hold one.
//   - YAML merge keys are refused: they would make one key's problem appear at many places. Aliases of whole values work.
//   - The JSON Schema is generated from the structs and their comments by a test and embedded, because an installed program has no sources.
package config
