package catalog

// Token is what a caller signed in with. It never shows, and is never sent on as it is: it is good for one thing, to be exchanged for a token that
// is meant for an upstream (RFC 8693).
type Token string

// String returns a placeholder.
func (Token) String() string { return "[redacted]" }

// GoString returns a placeholder.
func (Token) GoString() string { return "[redacted]" }

// MarshalText returns a placeholder.
func (Token) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// Caller is whom a call is made for, as far as credentials for upstreams depend on it.
type Caller struct {
	// Owner is an opaque key of the principal: whatever belongs to one caller is kept under it.
	Owner string
	// Name is the typed name of the principal.
	Name string
	// Token is the verified bearer token of this request, "" for callers who showed none.
	Token Token
}
