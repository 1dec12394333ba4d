package upstreamtest

import (
	"bufio"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Server is a running fake (New), or one that runs as a child of whoever starts Command (Stdio).
type Server struct {
	// URL is the endpoint: of Streamable HTTP, or of HTTP+SSE when Config.SSE is set. Empty on stdio.
	URL string
	// Command and Args start the child. Empty over HTTP.
	Command string
	Args    []string

	t      testing.TB
	ledger *Ledger
	http   *httpServer // nil on stdio

	ln    net.Listener // commands to children
	conns chan net.Conn
	conn  net.Conn // of the newest child
}

// New starts a server over HTTP on the loopback interface. It ends with the test.
func New(t testing.TB, cfg Config) *Server {
	t.Helper()
	l := &Ledger{}
	h := newHTTPServer(newEngine(cfg, l))
	if err := h.accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.stop()
		h.refuse()
		h.wg.Wait()
	})
	return &Server{URL: h.url(), t: t, ledger: l, http: h}
}

// Stdio returns a server that runs as a child process from the test's own binary, whose TestMain must call [RunChild]. Each start of
// Command is a fresh server with the same configuration; the ledger is that of all starts.
func Stdio(t testing.TB, cfg Config) *Server {
	t.Helper()
	dir := t.TempDir()
	b, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	config, ledger := filepath.Join(dir, "config.json"), filepath.Join(dir, "ledger.jsonl")
	if err := os.WriteFile(config, b, 0o600); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{
		Command: exe, Args: []string{childArg, "-ledger", ledger, "-control", ln.Addr().String(), config},
		t: t, ledger: &Ledger{file: ledger}, ln: ln, conns: make(chan net.Conn, 64),
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			for queued := false; !queued; {
				select {
				case s.conns <- conn:
					queued = true
				default:
					select {
					case old := <-s.conns: // only the newest child is told anything
						_ = old.Close()
					default:
					}
				}
			}
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-ended
		close(s.conns)
		for conn := range s.conns {
			_ = conn.Close()
		}
		if s.conn != nil {
			_ = s.conn.Close()
		}
	})
	return s
}

// Ledger is what reached the server so far.
func (s *Server) Ledger() *Ledger { return s.ledger }

// Change replaces the lists of c that are not nil and sends the list_changed notifications that follow.
func (s *Server) Change(c Content) { s.t.Helper(); s.tell(command{Change: &c}) }

// Script replaces the script; its counts start anew.
func (s *Server) Script(acts ...Act) { s.t.Helper(); s.tell(command{Script: &acts}) }

// Notify sends a whole message as it is on every legacy GET stream, HTTP+SSE stream or pipe.
func (s *Server) Notify(msg Raw) { s.t.Helper(); s.tell(command{Notify: msg}) }

// Update tells every client that subscribed to the resource that it changed.
func (s *Server) Update(uri string) { s.t.Helper(); s.tell(command{Update: uri}) }

// ForgetSessions drops all sessions with their streams, as a restart would: their next request gets 404.
func (s *Server) ForgetSessions() { s.t.Helper(); s.tell(command{Forget: true}) }

// Refuse closes the port and all connections of an HTTP server; Accept opens the same port again. Sessions survive.
func (s *Server) Refuse() { s.http.refuse() }

// Accept opens the port that Refuse closed.
func (s *Server) Accept() {
	s.t.Helper()
	if err := s.http.accept(); err != nil {
		s.t.Fatal(err)
	}
}

// tell runs a command and returns when it is done: here, or in the newest child.
func (s *Server) tell(c command) {
	s.t.Helper()
	if s.http != nil {
		s.http.obey(c)
		return
	}
	for {
		select {
		case conn := <-s.conns:
			if s.conn != nil {
				_ = s.conn.Close()
			}
			s.conn = conn
			continue
		default:
		}
		break
	}
	if s.conn == nil {
		select {
		case s.conn = <-s.conns:
		case <-time.After(10 * time.Second):
			s.t.Fatal("no child runs")
		}
	}
	b, err := json.Marshal(c)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.conn.Write(append(b, '\n')); err != nil {
		s.t.Fatalf("tell the child: %v", err)
	}
	if _, err := bufio.NewReader(s.conn).ReadBytes('\n'); err != nil && !c.Exit {
		s.t.Fatalf("the child's answer: %v", err)
	}
}
