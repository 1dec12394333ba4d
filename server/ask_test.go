package server

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"

	"weir/catalog"
	"weir/policy"
)

// A modern server gives an elicitation by URL no id, and a legacy client cannot do without one.
func TestAskGivesElicitationsByURLAnID(t *testing.T) {
	s := NewSession(policy.LocalUser(), catalog.Client{Era: catalog.Legacy, Capabilities: []byte(`{"elicitation":{"form":{},"url":{}}}`)})
	minted := regexp.MustCompile(`"[A-Z2-7]{26}"`)
	for _, tt := range []struct{ params, want string }{
		{`{"mode":"url","message":"m","url":"https://a/"}`, `{"mode":"url","message":"m","url":"https://a/","elicitationId":"«id»"}`},
		{`{"mode":"url","elicitationId":"own","url":"https://a/"}`, `{"mode":"url","elicitationId":"own","url":"https://a/"}`},
		{`{"mode":"form","message":"m"}`, `{"mode":"form","message":"m"}`},
		{`{"message":"m"}`, `{"message":"m"}`},
	} {
		var sent string
		_, err := s.Ask(context.Background(), catalog.Request{Method: "elicitation/create", Params: []byte(tt.params)}, func(m []byte) bool {
			sent = string(m)
			return false
		})
		if !errors.Is(err, errNoAnswer) {
			t.Fatal(err)
		}
		_, got, _ := strings.Cut(sent, `"params":`)
		if got = minted.ReplaceAllString(got, `"«id»"`); got != tt.want+"}" {
			t.Errorf("%s: sent %s", tt.params, got)
		}
	}
}
