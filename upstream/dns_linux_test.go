package upstream

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"weir/upstream/upstreamtest"
)

// names4 is a name server with one name, which all have asked for.
type names4 struct {
	address atomic.Pointer[netip.Addr]
	asked   atomic.Int32
}

// resolve makes the test's process ask a name server of its own.
func resolve(t *testing.T) *names4 {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &names4{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 1500)
		for {
			size, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer, ok := n.answer(buf[:size]); ok {
				_, _ = c.WriteTo(answer, from)
			}
		}
	}()
	was := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", c.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = was
		_ = c.Close()
		<-ended
	})
	return n
}

func (n *names4) answer(question []byte) ([]byte, bool) {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 {
		return nil, false
	}
	q := m.Questions[0]
	m.Response, m.Additionals = true, nil
	if q.Type == dnsmessage.TypeA {
		n.asked.Add(1)
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 3600}, Body: &dnsmessage.AResource{A: n.address.Load().As4()},
		}}
	}
	b, err := m.Pack()
	return b, err == nil
}

// A name gets another address and what was behind the first is gone: calls reach the new one within ten seconds, and nobody does anything for it. While the
// old server is there too, connections move with their age, see the package h1.
func TestR32_NamesMove(t *testing.T) {
	for _, era := range []upstreamtest.Era{upstreamtest.Modern, upstreamtest.Legacy} {
		t.Run(string(era), func(t *testing.T) {
			dns, from, to := resolve(t), netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
			dns.address.Store(&from)
			all := fleet(t, 2, upstreamtest.Config{Era: era})
			before := proxied(t, "127.0.0.1:0", all[0].URL, "")
			_, text, _ := strings.Cut(before.Listen, ":")
			port, err := strconv.ParseUint(text, 10, 16)
			if err != nil {
				t.Fatal(err)
			}
			proxied(t, netip.AddrPortFrom(to, uint16(port)).String(), all[1].URL, "")
			s := run(t, Options{Namespace: space(map[string]Spec{"up": {URL: "http://moves.test:" + text + "/mcp"}})})
			settle(t, s)
			for range 10 {
				mustCall(t, s, "up__echo")
			}
			dns.address.Store(&to)
			before.Stop()
			began, tries := time.Now(), 0
			upstreamtest.Eventually(t, func() bool { // within ten seconds
				tries++
				a, err := callTool(t, s, "up__echo")
				if err == nil {
					a.Release()
				}
				return err == nil
			}, "the new address is in use")
			t.Logf("back after %s and %d calls; the name was asked for %d times", time.Since(began), tries, dns.asked.Load())
			for range 10 {
				mustCall(t, s, "up__echo")
			}
			for i, want := range []int{10, 11} {
				if n := executed(all[i]); n != want {
					t.Errorf("server %d executed %d calls, want %d", i, n, want)
				}
			}
		})
	}
}
