package openapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/translate"
	"weir/translate/schema"
)

// maxItems bounds how many events of a stream are collected.
const maxItems = 1000

// stream collects the events of a text/event-stream or the lines of NDJSON until the end, a limit, or the deadline. Each one is progress.
func (x *exchange) stream(ctx context.Context, response *http.Response, kind mediaKind) *translate.Result {
	s := collector{x: x, limit: x.maxText()}
	in := bufio.NewScanner(io.LimitReader(response.Body, x.maxBody()))
	in.Buffer(make([]byte, 0, 16<<10), 1<<20)
	in.Split(bufio.ScanLines)
	var event []byte
	for s.why == "" && in.Scan() {
		line := bytes.TrimPrefix(in.Bytes(), []byte{0x1e}) // RFC 7464
		if kind == mediaLines {
			s.add(bytes.TrimSpace(line))
			continue
		}
		if len(line) == 0 {
			s.add(event)
			event = event[:0]
			continue
		}
		if data, ok := bytes.CutPrefix(line, []byte("data:")); ok && len(event)+len(data) < 1<<20 {
			if len(event) > 0 {
				event = append(event, '\n')
			}
			event = append(event, bytes.TrimPrefix(data, []byte(" "))...)
		}
	}
	if s.why == "" {
		s.add(event)
	}
	switch err := in.Err(); {
	case ctx.Err() != nil:
		s.why = fmt.Sprintf("the time of %s is over", x.timeout)
	case errors.Is(err, bufio.ErrTooLong):
		s.why = "one of them is larger than 1 MiB"
	case err != nil && s.why == "":
		s.why = "the connection ended early"
	}
	return s.result()
}

// collector gathers items.
type collector struct {
	x     *exchange
	items []*schema.Value
	size  int
	limit int
	why   string // why collecting ended before the stream
}

func (s *collector) add(data []byte) {
	text := strings.TrimSpace(string(data))
	if text == "" || text == "[DONE]" {
		return
	}
	v, err := schema.Parse([]byte(text))
	if err != nil {
		v = schema.Text(strings.ToValidUTF8(text, "\uFFFD"))
	}
	if s.size += len(text); s.size > s.limit {
		s.why = fmt.Sprintf("the limit of %s is reached", bytesText(s.limit))
		return
	}
	s.items = append(s.items, v)
	if len(s.items) == maxItems {
		s.why = fmt.Sprintf("the limit of %d items is reached", maxItems)
	}
	s.progress()
}

// progress tells the caller how many items have come, when it gave a token.
func (s *collector) progress() {
	c := s.x.call
	token := c.Message.Meta.ProgressToken.Of(c.Message.Data)
	if c.Notify == nil || token == nil {
		return
	}
	params := append([]byte(`{"progressToken":`), token...)
	params = fmt.Appendf(params, `,"progress":%d}`, len(s.items))
	c.Notify(catalog.Notification{Method: "notifications/progress", Params: params})
}

func (s *collector) result() *translate.Result {
	value := schema.Map(
		schema.Member{Key: "items", Value: schema.List(s.items...)},
		schema.Member{Key: "complete", Value: schema.Boolean(s.why == "")},
	)
	if s.why != "" {
		value.Put("stopped", schema.Text(s.why))
	}
	text := s.x.scrub(value.JSON())
	r := &translate.Result{}
	r.AddText(text)
	if rawjson.Valid([]byte(text)) == nil {
		r.SetStructured([]byte(text))
	}
	return r
}
