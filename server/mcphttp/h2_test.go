package mcphttp

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"weir/catalog"
	"weir/server"
)

// flood is one way in which clients abuse HTTP/2; it writes frame number n.
type flood func(f *http2.Framer, block []byte, n uint32) error

func floods() map[string]flood {
	return map[string]flood{
		"rapid reset (CVE-2023-44487)": func(f *http2.Framer, block []byte, n uint32) error {
			id := 2*n + 1
			return errors.Join(f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true, EndStream: true}), f.WriteRSTStream(id, http2.ErrCodeCancel))
		},
		"CONTINUATION without end (CVE-2023-45288)": func(f *http2.Framer, block []byte, n uint32) error {
			if n == 0 {
				return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndStream: true})
			}
			return f.WriteContinuation(1, false, bytes.Repeat(block, 16))
		},
		"SETTINGS": func(f *http2.Framer, _ []byte, n uint32) error {
			return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: n})
		},
		"PING": func(f *http2.Framer, _ []byte, n uint32) error { return f.WritePing(false, [8]byte{byte(n)}) },
	}
}

// attack opens a connection, speaks HTTP/2 whether or not that was agreed on, writes 20,000 frames or as many as are taken, and returns what came back.
func attack(t *testing.T, dial func() (net.Conn, error), write flood) (frames uint32, answer []byte) {
	t.Helper()
	c, err := dial()
	if err != nil {
		return 0, nil // refused in the handshake
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	back := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(io.LimitReader(c, 1<<20))
		back <- b
	}()
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		return 0, <-back
	}
	var block bytes.Buffer
	h := hpack.NewEncoder(&block)
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "localhost"}} {
		_ = h.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}) // into memory
	}
	f := http2.NewFramer(c, nil)
	f.AllowIllegalWrites = true
	err = f.WriteSettings()
	for ; frames < 20_000 && err == nil; frames++ {
		err = write(f, block.Bytes(), frames)
	}
	return frames, <-back
}

// No flood of HTTP/2 frames is worth more than a refused request, with and without TLS: nothing speaks HTTP/2, so it ends with the first bytes. Nothing is called
// for it, goroutines do not pile up, and a client that calls meanwhile is answered each time.
func TestR25_FloodsOfFrames(t *testing.T) {
	var calls atomic.Int64
	f := start(t, func(_ context.Context, _ *catalog.Call) (*catalog.Answer, error) {
		calls.Add(1)
		return result(t, catalog.Modern, `{"content":[]}`), nil
	}, nil)
	plain := func() (net.Conn, error) { return net.Dial("tcp", f.url[len("http://"):]) }
	for name, dial := range map[string]func() (net.Conn, error){"in clear": plain, "with TLS": secured(t, f, "http/1.1"), "with TLS and h2 only": secured(t, f, "h2")} {
		for kind, write := range floods() {
			t.Run(name+", "+kind, func(t *testing.T) {
				quiet, done := callsOf(t, f, 200, nil), make(chan struct{})
				base, most := runtime.NumGoroutine(), atomic.Int64{}
				before := calls.Load()
				var frames uint32
				go func() {
					defer close(done)
					for range 5 {
						n, back := attack(t, dial, write)
						frames += n
						if bytes.Contains(back, []byte("\x00\x00\x00\x04")) { // an empty SETTINGS frame, as every HTTP/2 server begins
							t.Errorf("HTTP/2 is spoken: %q", back)
						}
						most.Store(max(most.Load(), int64(runtime.NumGoroutine())))
					}
				}()
				loud := callsOf(t, f, 200, done)
				<-done
				t.Logf("%d frames were taken in 5 connections; goroutines %d, then %d at most; p99 of calls %v, then %v", frames, base, most.Load(), quiet.p99, loud.p99)
				if n := calls.Load() - before; n != int64(loud.made) {
					t.Errorf("%d calls for %d of the client", n, loud.made)
				}
				if most.Load() > int64(base+50) {
					t.Errorf("goroutines: %d, then %d", base, most.Load())
				}
			})
		}
	}
}

// secured is a second listener of the fixture's endpoint, with TLS.
func secured(t *testing.T, f *fixture, protocol string) func() (net.Conn, error) {
	t.Helper()
	dir := t.TempDir()
	spec := server.TLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	ca := issue(t, "CA", nil, nil)
	own := issue(t, "own", &ca, nil)
	write(t, spec.Cert, own.certPEM())
	write(t, spec.Key, own.keyPEM(t))
	certs, err := ReadCertificates(spec)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := f.server.o
	o.Drain, o.GiveUp = nil, nil
	s := NewServer(o)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, certs.Listen(ln)) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	return func() (net.Conn, error) {
		return tls.Dial("tcp", ln.Addr().String(), &tls.Config{RootCAs: roots, NextProtos: []string{protocol}, MinVersion: tls.VersionTLS12})
	}
}

// made is how many calls were made, and how long the slowest of each hundred took.
type made struct {
	made int
	p99  time.Duration
}

// callsOf makes n calls, and more until done is closed; each must be answered.
func callsOf(t *testing.T, f *fixture, n int, done <-chan struct{}) made {
	t.Helper()
	var took []time.Duration
	for over := done == nil; len(took) < n || !over; {
		select {
		case <-done:
			over, done = true, nil
		default:
		}
		began := time.Now()
		if got, _ := f.do("POST", legacyCall); got.Status != 200 {
			t.Fatalf("%d %s", got.Status, got.Body)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return made{len(took), took[len(took)*99/100]}
}
