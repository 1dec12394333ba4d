package egress

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// A client that is never idle for long makes a new connection at least every five minutes.
func TestR32_ConnectionsAreRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dials := 0
		tr := &Renewed{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			dials++
			ours, theirs := net.Pipe()
			go func() {
				defer func() { _ = theirs.Close() }()
				in := bufio.NewReader(theirs)
				for {
					if _, err := http.ReadRequest(in); err != nil {
						return
					}
					_, _ = io.WriteString(theirs, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
			}()
			return ours, nil
		}}}
		defer tr.CloseIdleConnections()
		const long = 10 * time.Minute
		for range long / (10 * time.Second) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x/", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := tr.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			time.Sleep(10 * time.Second)
		}
		if most := int(2 * long / connLife); dials > most || dials < int(long/connLife) {
			t.Errorf("%d connections in %s", dials, long)
		}
	})
}
