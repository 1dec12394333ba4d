package h1

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Connections older than five minutes take no further request, however busy they are, and none is cut.
func TestR32_ConnectionsHaveALife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dials := 0
		tr := &Transport{Dial: func(context.Context, string, string) (net.Conn, error) {
			dials++
			ours, theirs := net.Pipe()
			go func() { // answers as slowly as the path says
				defer func() { _ = theirs.Close() }()
				in := bufio.NewReader(theirs)
				for {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, r.Body)
					wait, _ := time.ParseDuration(strings.TrimPrefix(r.URL.Path, "/"))
					time.Sleep(wait)
					_, _ = io.WriteString(theirs, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
			}()
			return ours, nil
		}}
		defer tr.CloseIdleConnections()
		get := func(path string, want int) {
			t.Helper()
			if got := send(t, tr, "http://x/"+path, "y"); got != "ok" || dials != want {
				t.Errorf("%q on connection %d, want %d", got, dials, want)
			}
		}
		for range 4*5 - 1 { // every quarter of a minute, so that it never rests for long
			get("1s", 1)
			time.Sleep(14 * time.Second)
		}
		get("30s", 1) // begun before the end of its life
		get("1s", 2)
		time.Sleep(5 * time.Minute)
		get("1s", 3)
	})
}
