package server

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

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

// TestAskEnds: a client that is gone for ever does not hold a call for ever, and one that is still there is told that nobody waits.
func TestAskEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSession(policy.LocalUser(), catalog.Client{Version: "2025-11-25", Capabilities: []byte(`{"roots":{}}`)})
		var sent []string
		begin := time.Now()
		_, err := s.Ask(t.Context(), catalog.Request{Method: "roots/list"}, func(m []byte) bool {
			sent = append(sent, string(m))
			return true
		})
		if !errors.Is(err, errNoAnswer) || time.Since(begin) != parkedFor {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		want := []string{
			`{"jsonrpc":"2.0","id":"weir-1","method":"roots/list"}`,
			`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"weir-1"}}`,
		}
		if diff := cmp.Diff(want, sent); diff != "" {
			t.Error(diff)
		}
	})
}
