package mcphttp

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"weir/server"
)

// guard refuses what a browser was tricked into sending: DNS rebinding shows in Host, a foreign page in Origin.
type guard struct {
	hosts   []string
	origins []string
	any     bool // the configuration allows every host
}

func newGuard(s server.Spec) guard {
	g := guard{hosts: slices.Clone(s.AllowedHosts), origins: s.AllowedOrigins, any: slices.Contains(s.AllowedHosts, "*")}
	if host, _, err := net.SplitHostPort(s.Listen); err == nil {
		if ip, err := netip.ParseAddr(host); err != nil || !ip.IsUnspecified() {
			g.hosts = append(g.hosts, host)
		}
	}
	return g
}

// refuse returns why r may not be served, "" when it may.
func (g *guard) refuse(r *http.Request) string {
	if !g.any && !g.known(r.Host) {
		return "Host " + printable(r.Host) + " is not allowed; add it to allowedHosts"
	}
	origin := r.Header.Get("Origin")
	if origin == "" || slices.Contains(g.origins, origin) {
		return ""
	}
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return "Origin is not allowed"
	}
	// A page may talk to the gateway that served it, and pages of this machine's loopback may talk to a loopback gateway.
	if strings.EqualFold(u.Host, r.Host) || isLoopback(u.Hostname()) && isLoopback(hostOnly(r.Host)) {
		return ""
	}
	return "Origin " + printable(origin) + " is not allowed; add it to allowedOrigins"
}

// known reports whether a Host header names this gateway. Addresses cannot be rebound, names can.
func (g *guard) known(host string) bool {
	name := hostOnly(host)
	if isLoopback(name) {
		return true
	}
	if len(g.hosts) == 0 {
		_, err := netip.ParseAddr(name)
		return err == nil
	}
	return slices.ContainsFunc(g.hosts, func(h string) bool { return strings.EqualFold(h, name) || strings.EqualFold(h, host) })
}

func hostOnly(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return strings.Trim(host, "[]")
}

func isLoopback(name string) bool {
	if name == "localhost" || name == "127.0.0.1" {
		return true
	}
	ip, err := netip.ParseAddr(name)
	return err == nil && ip.IsLoopback() || strings.EqualFold(name, "localhost")
}

// printable keeps a header value fit for an answer: short, visible ASCII.
func printable(s string) string {
	if len(s) > 100 {
		s = s[:100]
	}
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, s)
}
