package config

import (
	"reflect"

	"weir/catalog"
	"weir/policy"
	"weir/policy/guard"
	"weir/server"
	"weir/server/authn"
	"weir/server/record"
	"weir/server/record/export"
	"weir/translate"
	"weir/translate/graphql"
	"weir/translate/openapi"
	"weir/upstream"
	"weir/upstream/cred"
)

// enum lists the values a text field may have; nil means any.
func enum(f field) []string {
	naming := []string{string(catalog.Prefix), string(catalog.Conflict), string(catalog.Bare)}
	return map[reflect.Type]map[string][]string{
		reflect.TypeFor[File]():           {"naming": naming},
		reflect.TypeFor[server.Virtual](): {"naming": naming},
		reflect.TypeFor[Log]():            {"level": {"debug", "info", "warn", "error"}, "format": {"auto", "text", "json"}},
		reflect.TypeFor[upstream.Spec](): {
			"type": {"stdio", "http", "sse"}, "balance": {"round-robin", "least", "principal"}, "era": {"auto", "legacy", "modern"},
		},
		reflect.TypeFor[translate.Spec](): {"mode": {"auto", "tools", "dynamic", "explicit"}},
		reflect.TypeFor[openapi.Spec]():   {"arrays": {"index", "brackets", "repeat"}},
		reflect.TypeFor[graphql.Spec](): {
			"generate": {"auto", "always", "never"}, "subscriptions": {"sse", "websocket"}, "persisted": {"hash", "id", "documentId"},
		},
		reflect.TypeFor[cred.Spec]():          {"grant": cred.Grants()},
		reflect.TypeFor[record.Audit]():       {"onFailure": {"block", "degrade"}, "intents": {"writes", "all"}},
		reflect.TypeFor[export.Spec]():        {"shape": export.Shapes()},
		reflect.TypeFor[authn.Issuer]():       {"algorithms": authn.Algorithms()},
		reflect.TypeFor[authn.Certificates](): {"name": authn.CertificateNames()},
		reflect.TypeFor[guard.Secrets]():      {"arguments": guard.Modes(), "results": guard.Modes()},
		reflect.TypeFor[guard.Flows]():        {"action": {string(guard.Block), string(guard.Flag)}, "per": {"caller", "trace"}},
		reflect.TypeFor[policy.Test]():        {"want": {"allow", "deny"}},
		reflect.TypeFor[policy.Deny]():        {"actions": {"list", "call", "get", "read", "complete", "subscribe"}},
	}[f.owner][f.key]
}
