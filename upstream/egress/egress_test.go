package egress_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"weir/upstream/egress"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func get(t *testing.T, transport *egress.Transport, address string) error {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := transport.RoundTrip(r)
	if err == nil {
		_ = response.Body.Close()
	}
	return err
}

// TestT13_RefusedAddresses is the table of addresses through the real dialer: all are refused before anything is sent.
func TestT13_RefusedAddresses(t *testing.T) {
	transport, err := egress.New(egress.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer transport.CloseIdleConnections()
	for _, host := range []string{
		"127.0.0.1", "127.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "0.0.0.0", "224.0.0.1",
		"255.255.255.255", "[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[fec0::1]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::1]",
		"[2002:7f00:1::]", "[2001::1]", "[ff02::1]", "localhost", "127.0.0.1:8080", "8.8.8.8:22", "[2001:db8::1]",
	} {
		if err := get(t, transport, "http://"+host+"/"); !errors.Is(err, egress.ErrRefused) {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestDeclaredEndpoints(t *testing.T) {
	server := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound))
	defer server.Close()
	transport, err := egress.New(egress.Options{Declared: []string{server.URL, "http://metadata.test", "https://h.test"}})
	if err != nil {
		t.Fatal(err)
	}
	defer transport.CloseIdleConnections()
	if err := get(t, transport, server.URL+"/x"); err != nil {
		t.Error(err)
	}
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	if err := get(t, transport, other.URL); !errors.Is(err, egress.ErrRefused) {
		t.Errorf("another port of a declared host: %v", err)
	}
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := get(t, transport, "http://localhost:"+u.Port()); !errors.Is(err, egress.ErrRefused) {
		t.Errorf("another name of a declared host: %v", err)
	}
	for _, bad := range []string{"file:///etc/passwd", "h.test", "http://"} {
		if _, err := egress.New(egress.Options{Declared: []string{bad}}); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// TestT12_RefusedBeforeSending: a refusal is a failed dial, so that callers know that nothing was sent.
func TestT12_RefusedBeforeSending(t *testing.T) {
	transport, err := egress.New(egress.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer transport.CloseIdleConnections()
	var op *net.OpError
	if err := get(t, transport, "http://169.254.169.254/latest"); !errors.As(err, &op) || op.Op != "dial" {
		t.Errorf("got %v", err)
	}
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	if err := get(t, transport, "http://10.1.2.3/"); !errors.Is(err, egress.ErrRefused) || !strings.Contains(err.Error(), "10.1.2.3") {
		t.Errorf("got %v", err)
	}
}
