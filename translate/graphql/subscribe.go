package graphql

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

// maxEvent bounds one event in bytes.
const maxEvent = 1 << 20

// collector gathers the events of a subscription.
type collector struct {
	translate.Collector
	failed string // why the server ended it
}

// newCollector bounds what is gathered by the configuration and by the caller.
func (x *exchange) newCollector() *collector {
	most := x.api.spec.events()
	if v := x.args.Get(x.tool.most); x.tool.most != "" && v.Is(schema.Number) {
		n := 0
		if _, err := fmt.Sscan(v.Text, &n); err == nil && n > 0 {
			most = min(most, n)
		}
	}
	return &collector{Collector: translate.Collector{Call: x.call, Name: "events", Limit: x.tool.Output.Bound(), Most: most}}
}

// add takes one event: the response of one execution.
func (c *collector) add(data []byte) {
	v, err := schema.Parse(data)
	if err != nil || !v.Is(schema.Object) {
		c.Stop("the API sent an event that cannot be read")
		return
	}
	if c.Len() == 0 && len(v.Array("errors")) > 0 && !usable(v.Get("data")) {
		c.fail(v.Array("errors")) // some servers refuse a subscription by its first event
		return
	}
	c.Add(v, len(data))
}

// fail notes the errors with which the server ended the subscription.
func (c *collector) fail(errs []schema.Member) {
	c.failed = sentences(errs)
	c.Stop("the API ended it: " + c.failed)
}

// ended makes the result: what came, unless there is nothing but a failure.
func (c *collector) ended(x *exchange) *translate.Result {
	if c.failed != "" && c.Len() == 0 {
		return translate.Failure(x.scrub("The API refused the subscription: " + c.failed))
	}
	return c.Result(translate.Scrub(x.secrets))
}

// overTime is why a subscription ends with its call.
func (x *exchange) overTime() string { return fmt.Sprintf("the time of %s is over", x.timeout) }

// events subscribes over server-sent events, in the distinct connections mode of graphql-sse: one request, one stream.
func (x *exchange) events(ctx context.Context, out *outgoing) *translate.Result {
	out.accept = acceptEvents
	if x.api.spec.SubscriptionURL != "" {
		out.url = x.api.spec.SubscriptionURL
	}
	response, failure := x.reach(ctx, out)
	if failure != nil {
		return failure
	}
	defer func() { _ = response.Body.Close() }()
	if essence(response.Header.Get("Content-Type")) != "text/event-stream" || response.StatusCode != http.StatusOK {
		data, cut := x.body(ctx, response)
		if cut != "" {
			return x.cutOff(cut)
		}
		return x.result(response, data)
	}
	c := x.newCollector()
	err := readEvents(io.LimitReader(response.Body, x.api.spec.BodyLimit()), func(name string, data []byte) bool {
		switch {
		case name == "complete":
			return false
		case len(data) > 0 && (name == "next" || name == "" || name == "message"):
			c.add(data)
		}
		return !c.Stopped()
	})
	switch {
	case ctx.Err() != nil:
		c.Stop(x.overTime())
	case errors.Is(err, bufio.ErrTooLong):
		c.Stop("an event is larger than " + translate.Bytes(maxEvent))
	case err != nil:
		c.Stop("the connection ended early")
	}
	return c.ended(x)
}

// readEvents reads a stream of server-sent events until take says that it is enough. An error says that the stream ended in another way than
// between two events.
func readEvents(r io.Reader, take func(name string, data []byte) bool) error {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 8<<10), maxEvent)
	in.Split(eventLines)
	var name string
	var data []byte
	fields := 0
	for in.Scan() {
		line := in.Bytes()
		if len(line) == 0 {
			if fields > 0 && !take(name, data) {
				return nil
			}
			name, data, fields = "", data[:0], 0
			continue
		}
		key, value, _ := strings.Cut(string(line), ":")
		value = strings.TrimPrefix(value, " ")
		switch key {
		case "event":
			name = value
			fields++
		case "data":
			if fields++; len(data) > 0 {
				data = append(data, '\n')
			}
			if data = append(data, value...); len(data) > maxEvent {
				return bufio.ErrTooLong
			}
		}
	}
	if err := in.Err(); err != nil {
		return err
	}
	return io.ErrUnexpectedEOF
}

// eventLines splits at line feeds, carriage returns and both, as event streams may have them.
func eventLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	i := bytes.IndexAny(data, "\r\n")
	switch {
	case i < 0 && atEOF && len(data) > 0:
		return len(data), data, nil
	case i < 0:
		return 0, nil, nil
	case data[i] == '\n':
		return i + 1, data[:i], nil
	case i+1 < len(data) && data[i+1] == '\n':
		return i + 2, data[:i], nil
	case i+1 == len(data) && !atEOF:
		return 0, nil, nil
	}
	return i + 1, data[:i], nil
}
