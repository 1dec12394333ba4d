package rawjson

// MaxDepth is the nesting depth Scan accepts. The message itself is the first level.
const MaxDepth = 512

// Scan accepts one JSON-RPC message or says why not (*SyntaxError). m is overwritten: it aliases data on success and is
// zero otherwise. Scan reads data once and does not allocate on success, unless an object of those below has more than
// 32 keys.
//
// Accepted is what RFC 8259 calls JSON text, in UTF-8, with at most MaxDepth levels and without escapes for half of a
// surrogate pair, that is a JSON-RPC 2.0 request, notification, result or error as MCP narrows it: an id is a string or
// an integer, params is an object, and only an error may be without an id or have null there.
//
// The message, params, params.ref, params._meta, result and result._meta must each have no two equal keys, and no key
// that differs only in case from one that [Message] or a later stage of a gateway reads; in params no two keys may
// differ only in case. Keys are compared unescaped, by the folding of encoding/json. Objects elsewhere are checked for
// syntax alone; see [UniqueKeys].
//
// A member of params whose type is not the one in the MCP schema is refused, null included. A member of result whose
// type is wrong is left absent: the result is still worth passing on.
func Scan(m *Message, data []byte) error {
	*m = Message{}
	s := scanner{data: data}
	if !s.fits() {
		return s.err
	}
	i := s.space(0)
	if i < len(data) && data[i] == '[' {
		return &SyntaxError{Offset: i, Code: CodeInvalidRequest, Reason: "batches are not supported", err: ErrBatch}
	}
	if i >= len(data) || data[i] != '{' {
		if s.whole() >= 0 {
			s.fail(i, CodeInvalidRequest, "a message must be an object")
		}
		return s.err
	}
	if s.end(s.object(i, inMessage, 1)) < 0 {
		return s.err
	}
	kind, reason := s.kind()
	if reason != "" {
		return &SyntaxError{Offset: i, Code: CodeInvalidRequest, Reason: reason}
	}
	s.fill(m, kind)
	return nil
}

// object reads the object at i, whose keys the scanner checks and of which it records members. depth counts it.
func (s *scanner) object(i int, p place, depth int) int {
	scope := s.keys.scope()
	d := s.data
	i = s.space(i + 1)
	if i < len(d) && d[i] == '}' {
		return i + 1
	}
	for {
		if i >= len(d) || d[i] != '"' {
			return s.unexpected(i, "a key")
		}
		end := s.keyText(i)
		if end < 0 {
			return -1
		}
		k := keyRef{uint32(i), uint32(end), s.odd}
		f, name, ok := s.identify(p, k)
		if !ok || !s.add(&scope, k, p == inParams) {
			return -1
		}
		if i = s.colon(end); i < 0 {
			return -1
		}
		if i = s.member(i, p, f, name, depth); i < 0 {
			return -1
		}
		i = s.space(i)
		if i >= len(d) || d[i] != ',' {
			break
		}
		i = s.space(i + 1)
	}
	if i >= len(d) || d[i] != '}' {
		return s.unexpected(i, "a comma or the end of the object")
	}
	s.keys.leave(scope)
	return i + 1
}

// member reads the value at i, which depth containers enclose, and records it as field f of place p, called name there.
func (s *scanner) member(i int, p place, f field, name string, depth int) int {
	s.half = false
	end := s.descend(i, f, depth)
	if end < 0 || f <= reserved {
		return end
	}
	raw := s.data[i:end]
	broken := s.half && raw[0] == '"' // no text that could be compared
	if f == fieldID && broken {
		return s.fail(i, CodeInvalidRequest, "id must be a string or an integer")
	}
	if sh := f.shape(); !sh.allows(raw) || broken && sh != anyShape {
		if s.lenient || f.optional() || f.nullable() && string(raw) == "null" {
			return end
		}
		return s.fail(i, CodeInvalidRequest, name+" in "+p.String()+" must be "+sh.String())
	}
	if reason := refuse(f, raw); reason != "" {
		return s.fail(i, CodeInvalidRequest, reason)
	}
	s.spans[f] = Span{i, end}
	return end
}

// descend reads the value at i, looking at its keys when f is one of the objects that Scan reads.
func (s *scanner) descend(i int, f field, depth int) int {
	if i >= len(s.data) || s.data[i] != '{' {
		return s.value(i, depth)
	}
	switch f {
	case fieldParams:
		return s.object(i, inParams, depth+1)
	case fieldRef:
		return s.object(i, inRef, depth+1)
	case fieldMeta:
		return s.object(i, inMeta, depth+1)
	case fieldResult:
		s.lenient = true
		i = s.object(i, inResult, depth+1)
		s.lenient = false
		return i
	default:
		return s.value(i, depth)
	}
}

// refuse says what is wrong with the value of a member whose shape alone does not settle it, "" when nothing is.
func refuse(f field, raw []byte) string {
	switch f {
	case fieldJSONRPC:
		if string(raw) != `"2.0"` {
			return `jsonrpc must be "2.0"`
		}
	case fieldID:
		if !tokenShape.allows(raw) && string(raw) != "null" {
			return "id must be a string or an integer"
		}
	default:
	}
	return ""
}

// kind says which shape the members of the message make, or why they make none.
func (s *scanner) kind() (kind Kind, reason string) {
	id := s.spans[fieldID]
	null := !id.Absent() && s.data[id.Start] == 'n'
	method, result, fault := !s.spans[fieldMethod].Absent(), !s.spans[fieldResult].Absent(), !s.spans[fieldError].Absent()
	switch {
	case s.spans[fieldJSONRPC].Absent():
		return 0, "jsonrpc is missing"
	case !method && !result && !fault:
		return 0, "a message needs method, result or error"
	case method && (result || fault) || result && fault:
		return 0, "a message has only one of method, result and error"
	case !method && !s.spans[fieldParams].Absent():
		return 0, "a response has no params"
	case fault:
		return Error, ""
	case null:
		return 0, "id must be a string or an integer"
	case method && id.Absent():
		return Notification, ""
	case method:
		return Request, ""
	case id.Absent():
		return 0, "a result needs an id"
	default:
		return Result, ""
	}
}

func (s *scanner) fill(m *Message, kind Kind) {
	f := &s.spans
	id := f[fieldID]
	if !id.Absent() && s.data[id.Start] == 'n' {
		id = Span{}
	}
	*m = Message{
		Data: s.data, Kind: kind,
		ID: id, Method: f[fieldMethod], Params: f[fieldParams], Result: f[fieldResult], Error: f[fieldError],

		Name: f[fieldName], URI: f[fieldURI], Arguments: f[fieldArguments], Cursor: f[fieldCursor], Ref: f[fieldRef],
		Level: f[fieldLevel], RequestID: f[fieldRequestID], ProgressToken: f[fieldProgressToken],
		RequestState: f[fieldRequestState], InputResponses: f[fieldInputResponses], TaskID: f[fieldTaskID], Task: f[fieldTask],

		ResultType: f[fieldResultType], IsError: f[fieldIsError],

		Meta: Meta{
			Object:             f[fieldMeta],
			ProtocolVersion:    f[metaProtocolVersion],
			ClientInfo:         f[metaClientInfo],
			ClientCapabilities: f[metaClientCapabilities],
			ServerInfo:         f[metaServerInfo],
			LogLevel:           f[metaLogLevel],
			SubscriptionID:     f[metaSubscriptionID],
			ProgressToken:      f[metaProgressToken],
			Traceparent:        f[metaTraceparent],
			Tracestate:         f[metaTracestate],
			Baggage:            f[metaBaggage],
		},
	}
}
