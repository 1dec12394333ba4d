package translate

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// Result is the result of a tool on its way to becoming an answer.
type Result struct {
	data       []byte // of the answer until it is put together: its beginning, and content blocks with commas between them
	structured []byte
	failed     bool
	written    bool // structured was written from a value, so that nothing needs to be read again
}

// Failure returns a result that tells a model what went wrong.
func Failure(text string) *Result {
	r := &Result{failed: true}
	r.AddText(text)
	return r
}

// Fail marks the result as that of a call that failed.
func (r *Result) Fail() { r.failed = true }

// Failed reports whether the result is that of a call that failed.
func (r *Result) Failed() bool { return r.failed }

// What every answer begins with.
const (
	beforeID     = `{"jsonrpc":"2.0","id":`
	beforeResult = beforeID + `0,"result":`
	beforeType   = beforeResult + `{"resultType":`
	resultType   = `"complete"`
	beforeBlocks = beforeType + resultType + `,"content":[`
)

// block begins a content block for which there is to be room.
func (r *Result) block(room int) {
	if len(r.data) > 0 {
		r.data = append(r.data, ',')
		return
	}
	r.data = append(make([]byte, 0, len(beforeBlocks)+room+64), beforeBlocks...)
}

// AddText adds a text block.
func (r *Result) AddText(text string) { addText(r, text) }

func addText[T string | []byte](r *Result, text T) {
	r.block(len(text) + len(text)/4 + len(r.structured) + 64)
	r.data = slices.Grow(r.data, len(text)+64)
	r.data = append(r.data, `{"type":"text","text":`...)
	r.data = rawjson.AppendString(r.data, text)
	r.data = append(r.data, '}')
}

// AddMedia adds an image or audio block; kind is "image" or "audio".
func (r *Result) AddMedia(kind, mimeType string, data []byte) {
	r.block(len(data) * 4 / 3)
	r.data = append(r.data, `{"type":"`+kind+`","data":"`...)
	r.data = base64.StdEncoding.AppendEncode(r.data, data)
	r.data = append(r.data, `","mimeType":`...)
	r.data = rawjson.AppendString(r.data, mimeType)
	r.data = append(r.data, '}')
}

// AddBlob adds an embedded resource with binary content.
func (r *Result) AddBlob(uri, mimeType string, data []byte) {
	r.block(len(data) * 4 / 3)
	r.data = append(r.data, `{"type":"resource","resource":{"uri":`...)
	r.data = rawjson.AppendString(r.data, uri)
	r.data = append(r.data, `,"mimeType":`...)
	r.data = rawjson.AppendString(r.data, mimeType)
	r.data = append(r.data, `,"blob":"`...)
	r.data = base64.StdEncoding.AppendEncode(r.data, data)
	r.data = append(r.data, `"}}`...)
}

// AddLink adds a resource that the client can fetch by itself; size is in bytes.
func (r *Result) AddLink(uri, name, mimeType string, size int) {
	r.block(len(uri) + len(name))
	r.data = append(r.data, `{"type":"resource_link","uri":`...)
	r.data = rawjson.AppendString(r.data, uri)
	r.data = append(r.data, `,"name":`...)
	r.data = rawjson.AppendString(r.data, name)
	r.data = append(r.data, `,"mimeType":`...)
	r.data = rawjson.AppendString(r.data, mimeType)
	r.data = append(r.data, `,"size":`...)
	r.data = strconv.AppendInt(r.data, int64(size), 10)
	r.data = append(r.data, '}')
}

// SetStructured sets structuredContent: one JSON object.
func (r *Result) SetStructured(object []byte) { r.structured = object }

// Structured returns structuredContent, nil when there is none.
func (r *Result) Structured() []byte { return r.structured }

// Answer makes the response of it. The result must not be used any more.
func (r *Result) Answer() (*catalog.Answer, error) {
	if r.data == nil {
		r.data = []byte(beforeBlocks)
	}
	data := append(r.data, ']')
	if r.structured != nil {
		data = append(data, `,"structuredContent":`...)
		data = append(data, r.structured...)
	}
	m := &rawjson.Message{
		Kind: rawjson.Result, ID: rawjson.Span{Start: len(beforeID), End: len(beforeID) + 1},
		ResultType: rawjson.Span{Start: len(beforeType), End: len(beforeType + resultType)},
	}
	if r.failed {
		data = append(data, `,"isError":`...)
		m.IsError.Start = len(data)
		data = append(data, "true"...)
		m.IsError.End = len(data)
	}
	data = append(data, "}}"...)
	m.Data, m.Result = data, rawjson.Span{Start: len(beforeResult), End: len(data) - 1}
	if r.written {
		return catalog.NewAnswer(m, catalog.Modern, nil), nil
	}
	if err := rawjson.Scan(m, data); err != nil {
		return nil, &catalog.Error{Code: catalog.Internal, Msg: fmt.Sprintf("translate: the result is no message: %v", err), Execution: catalog.Executed, Err: err}
	}
	return catalog.NewAnswer(m, catalog.Modern, nil), nil
}
