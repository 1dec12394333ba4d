package rawjson

// Span is a half-open byte range of a buffer. The zero Span means "absent": no JSON value starts and ends at 0.
type Span struct{ Start, End int }

// Absent reports whether the value is not there.
func (s Span) Absent() bool { return s.End == 0 }

// Of returns the bytes of s in data, nil when absent. The result aliases data.
func (s Span) Of(data []byte) []byte {
	if s.End == 0 {
		return nil
	}
	return data[s.Start:s.End:s.End]
}

// Kind says which of the four JSON-RPC 2.0 shapes a message has.
type Kind uint8

// The shapes of JSON-RPC 2.0.
const (
	Request Kind = iota + 1
	Notification
	Result
	Error
)

// Message is one accepted JSON-RPC message. Every span indexes Data and covers one whole raw JSON value (strings with
// their quotes). The spans below params are filled for requests and notifications, those below result for results.
type Message struct {
	Data []byte
	Kind Kind

	ID     Span // string or integer, as written
	Method Span // string; see MethodName
	Params Span // object, or absent
	Result Span // any value
	Error  Span // object

	// Members of params that a gateway reads. Everything else in params is passed on unread.
	Name           Span // tools/call, prompts/get
	URI            Span // resources/read, resources/subscribe, notifications/resources/updated
	Arguments      Span // tools/call, prompts/get
	Cursor         Span // the list methods
	Ref            Span // completion/complete; object
	Level          Span // logging/setLevel, notifications/message
	RequestID      Span // notifications/cancelled
	ProgressToken  Span // notifications/progress (params.progressToken, not _meta)
	RequestState   Span // the retry after input_required; string
	InputResponses Span // the retry after input_required; object
	TaskID         Span // tasks/get, tasks/update, tasks/cancel, notifications/tasks
	Task           Span // tools/call of 2025-11-25, which asks for a task; any value, as written

	// Members of result that a gateway reads.
	ResultType Span
	IsError    Span // tools/call; any value, as written

	Meta Meta
}

// Meta holds spans of params._meta or result._meta and of the members that are per hop
// (spec 2026-07-28, basic/index#meta).
type Meta struct {
	Object             Span // the _meta object itself, or absent
	ProtocolVersion    Span // io.modelcontextprotocol/protocolVersion
	ClientInfo         Span // io.modelcontextprotocol/clientInfo
	ClientCapabilities Span // io.modelcontextprotocol/clientCapabilities
	ServerInfo         Span // io.modelcontextprotocol/serverInfo
	LogLevel           Span // io.modelcontextprotocol/logLevel
	SubscriptionID     Span // io.modelcontextprotocol/subscriptionId
	ProgressToken      Span // progressToken
	Traceparent        Span // traceparent
	Tracestate         Span // tracestate
	Baggage            Span // baggage
}
