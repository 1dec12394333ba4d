package mcphttp

import (
	"net/http/httptest"
	"testing"

	"weir/server"
)

// TestTrap5_20_HostAndOrigin: what a rebound name or a foreign page sends is refused, a proxy in front that is configured is not.
func TestTrap5_20_HostAndOrigin(t *testing.T) {
	tests := []struct {
		name    string
		spec    server.Spec
		host    string
		origin  string
		allowed bool
	}{
		{name: "loopback address", host: "127.0.0.1:7777", allowed: true},
		{name: "other loopback address", host: "127.8.8.8", allowed: true},
		{name: "localhost", host: "localhost:7777", allowed: true},
		{name: "localhost in capitals", host: "LOCALHOST", allowed: true},
		{name: "IPv6 loopback", host: "[::1]:7777", allowed: true},
		{name: "rebound name", host: "evil.example:7777"},
		{name: "name that begins like localhost", host: "localhost.evil.example"},
		{name: "empty host", host: ""},
		{name: "configured host", spec: server.Spec{AllowedHosts: []string{"weir.example"}}, host: "weir.example", allowed: true},
		{name: "configured host on any port", spec: server.Spec{AllowedHosts: []string{"weir.example"}}, host: "weir.example:8443", allowed: true},
		{name: "host beside the configured one", spec: server.Spec{AllowedHosts: []string{"weir.example"}}, host: "other.example"},
		{name: "star", spec: server.Spec{AllowedHosts: []string{"*"}}, host: "anything.example", allowed: true},
		{name: "no origin", host: "localhost", allowed: true},
		{name: "own origin", host: "localhost:7777", origin: "http://localhost:7777", allowed: true},
		{name: "page of another loopback port", host: "localhost:7777", origin: "http://127.0.0.1:6274", allowed: true},
		{name: "foreign page", host: "localhost:7777", origin: "http://evil.example"},
		{name: "sandboxed page", host: "localhost:7777", origin: "null"},
		{name: "origin that is no URL", host: "localhost:7777", origin: "::::"},
		{name: "configured origin", spec: server.Spec{AllowedOrigins: []string{"https://app.example"}}, host: "localhost", origin: "https://app.example", allowed: true},
		{name: "origin with the configured one as prefix", spec: server.Spec{AllowedOrigins: []string{"https://app.example"}}, host: "localhost", origin: "https://app.example.evil"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.spec.Listen = "127.0.0.1:7777"
			g := newGuard(tt.spec)
			r := httptest.NewRequest("POST", "/mcp", nil)
			r.Host = tt.host
			if tt.origin != "" {
				r.Header.Set("Origin", tt.origin)
			}
			if reason := g.refuse(r); (reason == "") != tt.allowed {
				t.Errorf("refuse = %q, allowed should be %v", reason, tt.allowed)
			}
		})
	}
}
