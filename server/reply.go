package server

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// Reply is one JSON-RPC response on its way to a client, in segments that may alias an upstream's answer.
type Reply struct {
	// Status is the HTTP status that belongs to it.
	Status int
	// Retry is after which time it makes sense to ask again, 0 when nobody knows.
	Retry   time.Duration
	code    int // of the error in it, 0 for a result
	segs    [][]byte
	room    [12][]byte // where segs begins: enough for nearly every reply
	release func()
}

// newReply returns an empty reply.
func newReply(status int) *Reply {
	r := &Reply{Status: status}
	r.segs = r.room[:0]
	return r
}

// add appends a segment.
func (r *Reply) add(b ...[]byte) {
	for _, s := range b {
		if len(s) > 0 {
			r.segs = append(r.segs, s)
		}
	}
}

// Len is the size of the response in bytes.
func (r *Reply) Len() int {
	n := 0
	for _, s := range r.segs {
		n += len(s)
	}
	return n
}

// WriteTo writes the response as it is.
func (r *Reply) WriteTo(w io.Writer) (int64, error) {
	var n int64
	for _, s := range r.segs {
		k, err := w.Write(s)
		n += int64(k)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Append appends the response as it is.
func (r *Reply) Append(dst []byte) []byte {
	for _, s := range r.segs {
		dst = append(dst, s...)
	}
	return dst
}

// AppendLine appends the response as one line: without line ends where it has any, for stdio frames and SSE data.
func (r *Reply) AppendLine(dst []byte) []byte {
	for _, s := range r.segs {
		if bytes.IndexByte(s, '\n') >= 0 || bytes.IndexByte(s, '\r') >= 0 {
			return r.appendCompact(dst)
		}
	}
	return r.Append(dst)
}

// appendCompact joins the segments first: a segment alone is not a JSON value.
func (r *Reply) appendCompact(dst []byte) []byte {
	return rawjson.Compact(dst, r.Append(make([]byte, 0, r.Len())))
}

// Release gives back what the reply was made of. It must be called once, after the last write.
func (r *Reply) Release() {
	if r.release != nil {
		r.release()
		r.release = nil
	}
}

var (
	envelopeID     = []byte(`{"jsonrpc":"2.0","id":`)
	envelopeResult = []byte(`,"result":`)
	envelopeError  = []byte(`,"error":`)
	envelopeEnd    = []byte(`}`)
	null           = []byte(`null`)
)

// ResultReply answers id with a raw result.
func ResultReply(id, result []byte) *Reply {
	r := newReply(statusOK)
	r.add(envelopeID, id, envelopeResult, result, envelopeEnd)
	return r
}

// ErrorReply answers id, nil when it could not be read, with a JSON-RPC error. data is raw and may be nil.
func ErrorReply(status int, id []byte, code int, message string, data []byte) *Reply {
	if id == nil {
		id = null
	}
	b := strconv.AppendInt([]byte(`{"code":`), int64(code), 10)
	b = rawjson.AppendString(append(b, `,"message":`...), message)
	if data != nil {
		b = append(append(b, `,"data":`...), data...)
	}
	r := newReply(status)
	r.code = code
	r.add(envelopeID, id, envelopeError, append(b, '}'), envelopeEnd)
	return r
}

// Refusal answers a message that the scanner did not accept. The id is told where it can be: a client that waits for it on a shared channel has
// nothing else to go by.
func Refusal(data []byte, err error) *Reply {
	code := CodeParse
	var id []byte
	var syntax *rawjson.SyntaxError
	if errors.As(err, &syntax) && syntax.Code == CodeInvalidRequest {
		code = CodeInvalidRequest
		if f, err := rawjson.Fields(data, "id"); err == nil {
			id = f[0].Of(data)
		}
	}
	if len(id) > 0 && id[0] != '"' && id[0] != '-' && (id[0] < '0' || id[0] > '9') {
		id = nil
	}
	return ErrorReply(statusBadRequest, id, code, err.Error(), nil)
}

// JSON-RPC and MCP error codes (spec 2026-07-28, basic/index#error-codes); -32010 to -32019 are weir's own.
const (
	CodeParse              = -32700
	CodeInvalidRequest     = -32600
	CodeMethodNotFound     = -32601
	CodeInvalidParams      = -32602
	CodeInternal           = -32603
	CodeResourceNotFound   = -32002 // legacy
	CodeURLElicitation     = -32042 // legacy
	CodeHeaderMismatch     = -32020
	CodeMissingCapability  = -32021
	CodeUnsupportedVersion = -32022
	codeDenied             = -32010
	codeNeedsLogin         = -32011
	codeUnavailable        = -32012
	codeTimeout            = -32013
	codeLimited            = -32014
	codeTooLarge           = -32015
	statusOK               = 200
	statusBadRequest       = 400
	statusNotFound         = 404
	statusInternal         = 500
	statusUnavailable      = 503
)

// rpcCode is the JSON-RPC number of a code.
func rpcCode(c catalog.Code) int {
	switch c {
	case catalog.Invalid, catalog.NotFound:
		return CodeInvalidParams
	case catalog.Denied, catalog.Unauthenticated:
		return codeDenied
	case catalog.NeedsLogin:
		return codeNeedsLogin
	case catalog.Unavailable:
		return codeUnavailable
	case catalog.Timeout, catalog.Canceled:
		return codeTimeout
	case catalog.Limited:
		return codeLimited
	case catalog.TooLarge:
		return codeTooLarge
	default:
		return CodeInternal
	}
}

// RawReply is a reply of one rendered segment.
func RawReply(b []byte) *Reply {
	r := newReply(statusOK)
	r.add(b)
	return r
}
