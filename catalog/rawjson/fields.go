package rawjson

import (
	"encoding/binary"
	"unicode/utf8"
)

// place names the objects of a message whose keys the scanner reads.
type place uint8

const (
	inMessage place = iota
	inParams
	inRef
	inResult
	inMeta
)

func (p place) String() string {
	switch p {
	case inParams:
		return "params"
	case inRef:
		return "params.ref"
	case inResult:
		return "result"
	case inMeta:
		return "_meta"
	default:
		return "the message"
	}
}

// field is a member that the scanner knows by name.
type field uint8

const (
	unknown  field = iota
	reserved       // known so that no case variant of it passes; its value is not recorded

	fieldJSONRPC
	fieldID
	fieldMethod
	fieldParams
	fieldResult
	fieldError

	fieldName
	fieldURI
	fieldArguments
	fieldCursor
	fieldRef
	fieldLevel
	fieldRequestID
	fieldProgressToken
	fieldRequestState
	fieldInputResponses
	fieldTaskID
	fieldTask

	fieldResultType
	fieldIsError

	fieldMeta
	metaProtocolVersion
	metaClientInfo
	metaClientCapabilities
	metaServerInfo
	metaLogLevel
	metaSubscriptionID
	metaProgressToken
	metaTraceparent
	metaTracestate
	metaBaggage

	fieldCount
)

// known returns the field whose folded name is folded, and its name as it must be written.
func (p place) known(folded []byte) (field, string) {
	switch p {
	case inMessage:
		return messageField(folded)
	case inParams:
		return paramsField(folded)
	case inRef:
		return refField(folded)
	case inResult:
		return resultField(folded)
	default:
		return metaField(folded)
	}
}

func messageField(folded []byte) (field, string) {
	switch string(folded) {
	case "jsonrpc":
		return fieldJSONRPC, "jsonrpc"
	case "id":
		return fieldID, "id"
	case "method":
		return fieldMethod, "method"
	case "params":
		return fieldParams, "params"
	case "result":
		return fieldResult, "result"
	case "error":
		return fieldError, "error"
	}
	return unknown, ""
}

func paramsField(folded []byte) (field, string) {
	switch string(folded) {
	case "name":
		return fieldName, "name"
	case "uri":
		return fieldURI, "uri"
	case "arguments":
		return fieldArguments, "arguments"
	case "_meta":
		return fieldMeta, "_meta"
	case "cursor":
		return fieldCursor, "cursor"
	case "ref":
		return fieldRef, "ref"
	case "level":
		return fieldLevel, "level"
	case "requestid":
		return fieldRequestID, "requestId"
	case "progresstoken":
		return fieldProgressToken, "progressToken"
	case "requeststate":
		return fieldRequestState, "requestState"
	case "inputresponses":
		return fieldInputResponses, "inputResponses"
	case "taskid":
		return fieldTaskID, "taskId"
	case "task":
		return fieldTask, "task"
	}
	return reservedParam(folded)
}

// reservedParam knows the members of params that later stages read by [Fields].
func reservedParam(folded []byte) (field, string) {
	switch string(folded) {
	case "protocolversion":
		return reserved, "protocolVersion"
	case "clientinfo":
		return reserved, "clientInfo"
	case "capabilities":
		return reserved, "capabilities"
	case "notifications":
		return reserved, "notifications"
	case "argument":
		return reserved, "argument"
	case "context":
		return reserved, "context"
	}
	return unknown, ""
}

func refField(folded []byte) (field, string) {
	switch string(folded) {
	case "type":
		return reserved, "type"
	case "name":
		return reserved, "name"
	case "uri":
		return reserved, "uri"
	}
	return unknown, ""
}

func resultField(folded []byte) (field, string) {
	switch string(folded) {
	case "_meta":
		return fieldMeta, "_meta"
	case "resulttype":
		return fieldResultType, "resultType"
	case "iserror":
		return fieldIsError, "isError"
	}
	return unknown, ""
}

func metaField(folded []byte) (field, string) {
	switch string(folded) {
	case "io.modelcontextprotocol/protocolversion":
		return metaProtocolVersion, "io.modelcontextprotocol/protocolVersion"
	case "io.modelcontextprotocol/clientinfo":
		return metaClientInfo, "io.modelcontextprotocol/clientInfo"
	case "io.modelcontextprotocol/clientcapabilities":
		return metaClientCapabilities, "io.modelcontextprotocol/clientCapabilities"
	case "io.modelcontextprotocol/serverinfo":
		return metaServerInfo, "io.modelcontextprotocol/serverInfo"
	case "io.modelcontextprotocol/loglevel":
		return metaLogLevel, "io.modelcontextprotocol/logLevel"
	case "io.modelcontextprotocol/subscriptionid":
		return metaSubscriptionID, "io.modelcontextprotocol/subscriptionId"
	case "progresstoken":
		return metaProgressToken, "progressToken"
	case "traceparent":
		return metaTraceparent, "traceparent"
	case "tracestate":
		return metaTracestate, "tracestate"
	case "baggage":
		return metaBaggage, "baggage"
	}
	return unknown, ""
}

// longestField is the length of io.modelcontextprotocol/clientCapabilities, the longest name that a place knows.
const longestField = 42

// identify returns the field that the key k of place p is, and its name. It reports false for a case variant of a name
// that p knows, with the fault in s. Names are ASCII; U+017F and U+212A, which fold to the letters s and k, are seen.
func (s *scanner) identify(p place, k keyRef) (f field, name string, ok bool) {
	var buf [longestField + 8]byte
	text := k.text(s.data)
	var folded []byte
	switch {
	case k.odd:
		if folded = foldShort(buf[:0], text); folded == nil {
			return unknown, "", true
		}
	case len(text) > longestField:
		return unknown, "", true
	default:
		folded = foldASCII(&buf, text)
	}
	f, name = p.known(folded)
	if f == unknown {
		return unknown, "", true
	}
	if string(text) == name || k.odd && spells(text, name) {
		return f, name, true
	}
	s.fail(int(k.start), CodeInvalidRequest, "a key of "+p.String()+" that differs from "+name+" only in case")
	return unknown, name, false
}

// spells reports whether text, the inside of a checked string, stands for the ASCII string name.
func spells(text []byte, name string) bool {
	for i := range len(name) {
		if len(text) == 0 {
			return false
		}
		r, n := character(text)
		if r != rune(name[i]) {
			return false
		}
		text = text[n:]
	}
	return len(text) == 0
}

// foldShort appends what text, the inside of a checked string, stands for, each character folded. It returns nil when
// that is longer than any name that a place knows, so it never outgrows dst.
func foldShort(dst, text []byte) []byte {
	for len(text) > 0 {
		r, n := character(text)
		if r = foldRune(r); len(dst)+utf8.RuneLen(r) > longestField {
			return nil
		}
		dst = utf8.AppendRune(dst, r)
		text = text[n:]
	}
	return dst
}

// foldASCII lower-cases text, at most longestField bytes of ASCII, into buf, eight bytes at a time.
func foldASCII(buf *[longestField + 8]byte, text []byte) []byte {
	copy(buf[:], text)
	for i := 0; i < len(text) && i+8 <= len(buf); i += 8 {
		x := binary.LittleEndian.Uint64(buf[i:])
		fromA := x + ones*(0x80-'A')
		pastZ := x + ones*(0x80-'Z'-1)
		upper := fromA &^ pastZ & highs
		binary.LittleEndian.PutUint64(buf[i:], x|upper>>2)
	}
	return buf[:len(text)]
}

// shape is what the MCP schema says of a member's type.
type shape uint8

const (
	anyShape shape = iota
	stringShape
	objectShape
	tokenShape // a string or an integer
)

func (f field) shape() shape {
	switch f {
	case fieldMethod, fieldName, fieldURI, fieldCursor, fieldLevel, fieldRequestState, fieldTaskID,
		fieldResultType, metaProtocolVersion, metaLogLevel, metaTraceparent, metaTracestate, metaBaggage:
		return stringShape
	case fieldParams, fieldError, fieldArguments, fieldRef, fieldInputResponses, fieldMeta,
		metaClientInfo, metaClientCapabilities, metaServerInfo:
		return objectShape
	case fieldRequestID, fieldProgressToken, metaProgressToken, metaSubscriptionID:
		return tokenShape
	default:
		return anyShape
	}
}

// allows reports whether raw, one checked value, has the shape.
func (sh shape) allows(raw []byte) bool {
	switch sh {
	case stringShape:
		return raw[0] == '"'
	case objectShape:
		return raw[0] == '{'
	case tokenShape:
		return raw[0] == '"' || isInteger(raw)
	default:
		return true
	}
}

// isInteger reports whether raw, one checked value, is a number without fraction and exponent.
func isInteger(raw []byte) bool {
	if raw[0] != '-' && !isDigit(raw[0]) {
		return false
	}
	for _, c := range raw {
		if c == '.' || c|0x20 == 'e' {
			return false
		}
	}
	return true
}

// optional reports whether a member of another type than its shape is left unread, not refused: its name has no prefix
// that would reserve it, or it says nothing about the sender of a request.
func (f field) optional() bool {
	switch f {
	case metaTraceparent, metaTracestate, metaBaggage, metaServerInfo:
		return true
	default:
		return false
	}
}

// nullable reports whether null means the same as leaving the member out: clients that write out all their optional fields send it.
func (f field) nullable() bool { return f == fieldArguments || f == fieldCursor || f == fieldParams }

func (sh shape) String() string {
	switch sh {
	case stringShape:
		return "a string"
	case objectShape:
		return "an object"
	case tokenShape:
		return "a string or an integer"
	default:
		return "a value"
	}
}
