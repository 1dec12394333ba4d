package openapi

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"weir/translate/schema"
)

// Mock serves a description: each operation answers its first success with a value made from the schema. It checks no arguments.
type Mock struct {
	routes []route
}

// route is one operation of a mock.
type route struct {
	method  string
	pattern *regexp.Regexp
	literal int // characters of the template that are no parameter: the most decide between two routes
	status  int
	media   string
	body    []byte
}

// NewMock makes the mock of a description.
func NewMock(text []byte) (*Mock, error) {
	d, err := open("", text, nil, nil)
	if err != nil {
		return nil, err
	}
	c := newConverter(d)
	m := &Mock{}
	for _, o := range d.operations() {
		m.routes = append(m.routes, mockRoute(c, o))
	}
	for i := range m.routes {
		if m.routes[i].body == nil {
			m.routes[i].body = []byte{}
		}
	}
	return m, nil
}

func mockRoute(c *converter, o *operation) route {
	r := route{method: o.method, status: http.StatusOK}
	var expression strings.Builder
	for _, p := range parseTemplate(o.path).pieces {
		if p.parameter != "" {
			expression.WriteString("[^/]*")
			continue
		}
		r.literal += len(p.literal)
		expression.WriteString(regexp.QuoteMeta(p.literal))
	}
	r.pattern = regexp.MustCompile(expression.String() + "$")
	for _, answer := range o.responses {
		if !strings.HasPrefix(answer.status, "2") && answer.status != "DEFAULT" {
			continue
		}
		if n, err := strconv.Atoi(answer.status); err == nil && n >= 200 {
			r.status = n
		}
		if len(answer.media) > 0 {
			r.media, r.body = mockBody(c, choose(answer.media, ""))
		}
		break
	}
	return r
}

// mockBody makes a body in a media type.
func mockBody(c *converter, m media) (name string, body []byte) {
	name = m.name
	if strings.Contains(name, "*") {
		name = "application/json"
	}
	var v *schema.Value
	if m.schema.value != nil {
		full := c.convert(m.schema, reply)
		sampler := schema.Sampler{Defs: c.defs[reply], Optional: true}
		v = sampler.Value(full)
	}
	switch kindOf(name) {
	case mediaJSON:
		return name, v.Append(nil)
	case mediaStream:
		return name, append(v.Append([]byte("data: ")), "\n\n"...)
	case mediaLines:
		return name, append(v.Append(nil), '\n')
	case mediaBinary:
		return name, []byte("\x00\x01\x02\x03")
	default:
		return name, []byte("text")
	}
}

// ServeHTTP answers a request whose path ends like that of an operation, so that the prefix of a server does not matter.
func (m *Mock) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	best := m.route(r.Method, r.URL)
	if best == nil {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = fmt.Fprintf(w, `{"title":"no such operation","status":404,"detail":%q}`, r.Method+" "+r.URL.Path) //nolint:gosec // a JSON string in a JSON answer
		return
	}
	if best.media != "" {
		w.Header().Set("Content-Type", best.media)
	}
	w.WriteHeader(best.status)
	if best.status != http.StatusNoContent {
		_, _ = w.Write(best.body) // the client went away
	}
}

func (m *Mock) route(method string, u *url.URL) *route {
	var best *route
	path := u.EscapedPath()
	for i := range m.routes {
		x := &m.routes[i]
		if x.method != method {
			continue
		}
		at := x.pattern.FindStringIndex(path)
		if at == nil || at[0] > 0 && best != nil && best.literal >= x.literal {
			continue
		}
		if best == nil || x.literal > best.literal {
			best = x
		}
	}
	return best
}
