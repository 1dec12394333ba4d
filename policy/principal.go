package policy

// Principal is a verified identity. Only this package and sign-in make one; the zero value is nobody and may do nothing.
type Principal struct {
	id string
}

// LocalUser is the person who runs weir: the peer of stdio, or of a loopback address when no sign-in is configured.
func LocalUser() Principal { return Principal{id: "user:local"} }

// String returns the typed name, "user:local"; "" for nobody.
func (p Principal) String() string { return p.id }

// Action is what a caller wants to do with an entry.
type Action string

// The actions that policy tells apart, by the methods of the specification.
const (
	List      Action = "list"
	Call      Action = "call"      // tools/call
	Get       Action = "get"       // prompts/get
	Read      Action = "read"      // resources/read
	Complete  Action = "complete"  // completion/complete
	Subscribe Action = "subscribe" // resources/subscribe, subscriptions/listen
)

// Decision is the answer, with the rule that gave it for the record.
type Decision struct {
	Allowed bool
	Rule    string
}
