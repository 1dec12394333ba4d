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

	"weir/translate"
	"weir/translate/schema"
)

// maxItems bounds how many events of a stream are collected.
const maxItems = 1000

// stream collects the events of a text/event-stream or the lines of NDJSON until the end, a limit, or the deadline. Each one is progress.
func (x *exchange) stream(ctx context.Context, response *http.Response, kind mediaKind) *translate.Result {
	s := collector{translate.Collector{Call: x.call, Name: "items", Limit: x.tool.Output.Bound(), Most: maxItems}}
	in := bufio.NewScanner(io.LimitReader(response.Body, x.api.spec.BodyLimit()))
	in.Buffer(make([]byte, 0, 16<<10), 1<<20)
	in.Split(bufio.ScanLines)
	var event []byte
	for !s.Stopped() && in.Scan() {
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
	if !s.Stopped() {
		s.add(event)
	}
	switch err := in.Err(); {
	case ctx.Err() != nil:
		s.Stop(fmt.Sprintf("the time of %s is over", x.timeout))
	case errors.Is(err, bufio.ErrTooLong):
		s.Stop("one of them is larger than 1 MiB")
	case err != nil:
		s.Stop("the connection ended early")
	}
	return s.Result(translate.Scrub(x.secrets))
}

// collector takes the items of a stream as texts.
type collector struct{ translate.Collector }

func (s *collector) add(data []byte) {
	text := strings.TrimSpace(string(data))
	if text == "" || text == "[DONE]" {
		return
	}
	v, err := schema.Parse([]byte(text))
	if err != nil {
		v = schema.Text(strings.ToValidUTF8(text, "\uFFFD"))
	}
	s.Add(v, len(text))
}
