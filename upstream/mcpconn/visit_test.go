package mcpconn

import (
	"fmt"
	"strings"
	"testing"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// TestT26_Visits: a server sends users by https only, or to this machine, and where its hosts are named only there; in a question, in an unfinished result and in
// an error alike.
func TestT26_Visits(t *testing.T) {
	for _, tt := range []struct{ hosts, url, fault string }{
		{"", "https://login.example.com/a?b#c", ""},
		{"", "https://[2001:db8::1]:8443/", ""},
		{"", "http://localhost:3000/", ""},
		{"", "http://127.0.0.1/", ""},
		{"", "http://[::1]:1/", ""},
		{"", "http://login.example.com/", `by "http"`},
		{"", "http://127.0.0.1.example.com/", `by "http"`},
		{"", "javascript:alert(1)", "leads to no host"},
		{"", "javascript://example.com/%0aalert(1)", `by "javascript"`},
		{"", "data:text/html,x", "leads to no host"},
		{"", "file:///etc/passwd", "leads to no host"},
		{"", "//example.com/", `by ""`},
		{"", "https:///path", "leads to no host"},
		{"", "https://login.example.com@evil.example/", "hides which"},
		{"", "https://login.example.com:x@evil.example/", "hides which"},
		{"", "https://exa mple/", "leads to no host"},
		{"", "", "leads to no host"},
		{"login.example.com", "https://LOGIN.example.com./", ""},
		{"login.example.com", "https://evil.example/", `"evil.example", which is not among its elicitationHosts`},
		{"login.example.com", "https://login.example.com.evil.example/", "not among"},
		{"*.example.com 10.0.0.7", "https://a.example.com/", ""},
		{"*.example.com 10.0.0.7", "https://example.com/", "not among"},
		{"*.example.com 10.0.0.7", "http://10.0.0.7:8080/", ""},
		{"*.example.com 10.0.0.7", "http://localhost/", "not among"},
		{"*.example.com", "ftp://a.example.com/", `by "ftp"`},
	} {
		c := &Conn{name: "up", cfg: &Config{ElicitationHosts: strings.Fields(tt.hosts)}}
		visit := fmt.Sprintf(`{"mode":"url","elicitationId":"7","url":%s,"message":"Sign in"}`, rawjson.AppendString(nil, tt.url))
		bare := strings.Replace(visit, `"mode":"url",`, "", 1)
		unfinished := `{"jsonrpc":"2.0","result":{"resultType":"input_required","inputRequests":{"a":{"method":"elicitation/create","params":` + visit + `}}},"id":1}`
		refusal := `{"jsonrpc":"2.0","error":{"code":-32042,"message":"m","data":{"x":1,"elicitations":[ ` + visit + `,` + bare + `]}},"id":1}`
		check := func(way, got string, err error, want int) {
			t.Helper()
			switch {
			case tt.fault == "" && (err != nil || strings.Count(got, "up: Sign in") != want):
				t.Errorf("%s, %s: %v: %s", tt.url, way, err, got)
			case tt.fault != "" && (err == nil || !strings.Contains(err.Error(), tt.fault)):
				t.Errorf("%s, %s: %v, want %s", tt.url, way, err, tt.fault)
			}
		}
		r, err := c.attributed(catalog.Request{Method: "elicitation/create", Params: []byte(visit)})
		check("asked", string(r.Params), err, 1)
		var m rawjson.Message
		for way, text := range map[string]string{"unfinished": unfinished, "refused": refusal} {
			if err := rawjson.Scan(&m, []byte(text)); err != nil {
				t.Fatal(err)
			}
			if way == "refused" {
				err = c.attributeVisits(&m)
				check(way, string(m.Data), err, 2)
			} else {
				err = c.attributeInput(&m)
				check(way, string(m.Data), err, 1)
			}
			if plain := strings.ReplaceAll(string(m.Data), "up: ", ""); plain != text {
				t.Errorf("%s, %s: other bytes changed: %s", tt.url, way, m.Data)
			}
		}
	}
}

// Other errors, and those that are not what they say, pass as they are.
func TestT26_OtherErrors(t *testing.T) {
	c := &Conn{name: "up", cfg: &Config{ElicitationHosts: []string{"nowhere"}}}
	for _, object := range []string{
		`{"code":-32000,"message":"m","data":{"elicitations":[{"url":"javascript:x","message":"m"}]}}`, `{"code":-32042,"message":"m"}`, `{"code":-32042,"message":"m","data":[1]}`,
		`{"code":-32042,"message":"m","data":{"elicitations":{}}}`, `{"code":-32042,"message":"m","data":{"elicitations":[7]}}`, `{"code":-32042,"message":"m","data":{"elicitations":[{"url":7}]}}`,
	} {
		var m rawjson.Message
		text := `{"jsonrpc":"2.0","error":` + object + `,"id":1}`
		if err := rawjson.Scan(&m, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := c.attributeVisits(&m); err != nil || string(m.Data) != text {
			t.Errorf("%s: %v: %s", object, err, m.Data)
		}
	}
}
