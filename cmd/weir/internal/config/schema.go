package config

import _ "embed" // for the schema

// schema is generated from the structs and their comments by TestSchemaIsCurrent.
//
//go:generate go test -run ^TestSchemaIsCurrent$ . -update
//go:embed schema.json
var schema []byte

// Schema returns the JSON Schema (2020-12) of weir's own file, for editors.
func Schema() []byte { return append([]byte(nil), schema...) }
