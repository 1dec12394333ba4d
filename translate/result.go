package translate

import (
	"encoding/base64"
	"fmt"
	"slices"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// Result is the result of a tool on its way to becoming an answer.
type Result struct {
	content    []byte // content blocks, separated by commas
	structured []byte
	failed     bool
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

func (r *Result) block() {
	if len(r.content) > 0 {
		r.content = append(r.content, ',')
	}
}

// AddText adds a text block.
func (r *Result) AddText(text string) { addText(r, text) }

func addText[T string | []byte](r *Result, text T) {
	r.block()
	r.content = slices.Grow(r.content, len(text)+len(text)/4+64)
	r.content = append(r.content, `{"type":"text","text":`...)
	r.content = rawjson.AppendString(r.content, text)
	r.content = append(r.content, '}')
}

// AddMedia adds an image or audio block; kind is "image" or "audio".
func (r *Result) AddMedia(kind, mimeType string, data []byte) {
	r.block()
	r.content = append(r.content, `{"type":"`+kind+`","data":"`...)
	r.content = base64.StdEncoding.AppendEncode(r.content, data)
	r.content = append(r.content, `","mimeType":`...)
	r.content = rawjson.AppendString(r.content, mimeType)
	r.content = append(r.content, '}')
}

// AddBlob adds an embedded resource with binary content.
func (r *Result) AddBlob(uri, mimeType string, data []byte) {
	r.block()
	r.content = append(r.content, `{"type":"resource","resource":{"uri":`...)
	r.content = rawjson.AppendString(r.content, uri)
	r.content = append(r.content, `,"mimeType":`...)
	r.content = rawjson.AppendString(r.content, mimeType)
	r.content = append(r.content, `,"blob":"`...)
	r.content = base64.StdEncoding.AppendEncode(r.content, data)
	r.content = append(r.content, `"}}`...)
}

// SetStructured sets structuredContent: one JSON object.
func (r *Result) SetStructured(object []byte) { r.structured = object }

// Structured returns structuredContent, nil when there is none.
func (r *Result) Structured() []byte { return r.structured }

// Answer makes the response of it.
func (r *Result) Answer() (*catalog.Answer, error) {
	data := make([]byte, 0, len(r.content)+len(r.structured)+128)
	data = append(data, `{"jsonrpc":"2.0","id":0,"result":{"resultType":"complete","content":[`...)
	data = append(data, r.content...)
	data = append(data, ']')
	if r.structured != nil {
		data = append(data, `,"structuredContent":`...)
		data = append(data, r.structured...)
	}
	if r.failed {
		data = append(data, `,"isError":true`...)
	}
	data = append(data, "}}"...)
	m := new(rawjson.Message)
	if err := rawjson.Scan(m, data); err != nil {
		return nil, &catalog.Error{Code: catalog.Internal, Msg: fmt.Sprintf("translate: the result is no message: %v", err), Execution: catalog.Executed, Err: err}
	}
	return catalog.NewAnswer(m, catalog.Modern, nil), nil
}
