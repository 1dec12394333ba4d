package mcpconn

import (
	"errors"
	"strings"
	"testing"

	"weir/catalog"
	"weir/catalog/rawjson"
)

// TestT26_Attributed: an elicitation says which server asks; a form that asks for a credential is refused, whatever the field is called.
func TestT26_Attributed(t *testing.T) {
	c := &Conn{name: "up", cfg: &Config{}}
	form := func(fields string) string {
		return `{"mode":"form","message":"m","requestedSchema":{"type":"object","properties":{` + fields + `}}}`
	}
	for _, tt := range []struct{ method, params, want string }{
		{"elicitation/create", `{"message":"Which \"one\"?","requestedSchema":{"type":"object"}}`, `{"message":"up: Which \"one\"?","requestedSchema":{"type":"object"}}`},
		{"elicitation/create", `{"mode":"url","url":"https://a/","message":"Sign in"}`, `{"mode":"url","url":"https://a/","message":"up: Sign in"}`},
		{"elicitation/create", `{"message":7}`, `{"message":7}`},
		{"elicitation/create", ``, ``},
		{"sampling/createMessage", `{"message":"m"}`, `{"message":"m"}`},
		{"elicitation/create", form(`"password":{"type":"string"}`), `"password"`},
		{"elicitation/create", `{"message":"m","requestedSchema":{"properties":{"x":{"format":"password"}}}}`, `"x"`},
		{"elicitation/create", form(`"name":{},"apiKey":{}`), `"apiKey"`},
		{"elicitation/create", form(`"API_KEY":{}`), `"API_KEY"`},
		{"elicitation/create", form(`"client-secret":{}`), `"client-secret"`},
		{"elicitation/create", form(`"secretValue":{}`), `"secretValue"`},
		{"elicitation/create", form(`"token":{}`), `"token"`},
		{"elicitation/create", form(`"githubAccessToken":{}`), `"githubAccessToken"`},
		{"elicitation/create", form(`"f1":{"title":"Your password"}`), `"f1"`},
		{"elicitation/create", form(`"f1":{"title":"SSH private key"}`), `"f1"`},
		{"elicitation/create", `{"mode":"url","message":"m","url":"https://a/","requestedSchema":{"properties":{"password":{}}}}`, `{"mode":"url","message":"up: m","url":"https://a/","requestedSchema":{"properties":{"password":{}}}}`},
		// What only speaks of credentials is none.
		{"elicitation/create", form(`"secretName":{},"maxTokens":{},"key":{},"primaryKey":{},"passwordPolicy":{"title":"Password policy"},"tokens":{},"csrf":{}`), `up: m`},
	} {
		r, err := c.attributed(catalog.Request{Method: tt.method, Params: []byte(tt.params)})
		got := string(r.Params)
		if refused := new(questionError); errors.As(err, &refused) {
			got = err.Error()
		}
		if !strings.Contains(got, tt.want) || strings.HasPrefix(tt.want, "{") && got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.params, got, tt.want)
		}
	}
}

// TestT26_AttributedInput: the same holds for the requests of an input_required result, of which every other byte stays.
func TestT26_AttributedInput(t *testing.T) {
	c := &Conn{name: "up", cfg: &Config{}}
	for _, tt := range []struct{ result, want, fault string }{
		{
			`{ "inputRequests":{"a":{"method":"elicitation/create","params":{"message":"one"}},"b":{"method":"roots/list"},"c":{"params":{"x":1,"message":"two"},"method":"elicitation/create"}},"resultType":"input_required","requestState":"s"}`,
			`{ "inputRequests":{"a":{"method":"elicitation/create","params":{"message":"up: one"}},"b":{"method":"roots/list"},"c":{"params":{"x":1,"message":"up: two"},"method":"elicitation/create"}},"resultType":"input_required","requestState":"s"}`, "",
		},
		{
			`{"resultType":"input_required","inputRequests":{"a":{"method":"elicitation/create","params":{"message":"m","requestedSchema":{"properties":{"pin":{},"passcode":{}}}}}}}`,
			"", `"passcode"`,
		},
		{`{"resultType":"input_required","requestState":"s"}`, `{"resultType":"input_required","requestState":"s"}`, ""},
		{
			`{"resultType":"input_required","inputRequests":{"a":7,"b":null,"c":{"method":"elicitation/create","params":{"message":"three"}}}}`,
			`{"resultType":"input_required","inputRequests":{"a":7,"b":null,"c":{"method":"elicitation/create","params":{"message":"up: three"}}}}`, "",
		},
		{`{"resultType":"input_required","inputRequests":[1]}`, `{"resultType":"input_required","inputRequests":[1]}`, ""},
	} {
		var m rawjson.Message
		if err := rawjson.Scan(&m, []byte(`{"jsonrpc":"2.0","result":`+tt.result+`,"id":1}`)); err != nil {
			t.Fatal(err)
		}
		err := c.attributeInput(&m)
		if (err != nil) != (tt.fault != "") || err != nil && !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("%s: %v", tt.result, err)
		}
		if got := string(m.Result.Of(m.Data)); err == nil && got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.result, got, tt.want)
		}
	}
}
