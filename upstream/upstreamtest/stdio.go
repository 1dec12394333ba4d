package upstreamtest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"time"
)

// pipe is the stdio transport: one message a line, both directions shared by all requests.
type pipe struct {
	*engine
	peer *peer
	pid  int
	exit func(status int)

	mu     sync.Mutex
	out    io.Writer
	closed bool
}

func newPipe(e *engine, out io.Writer, pid int, exit func(int)) *pipe {
	p := &pipe{engine: e, out: out, pid: pid, exit: exit, peer: newPeer("", strconv.Itoa(pid))}
	p.peer.stream = p
	e.peers[p.peer] = true
	e.crash = func() { exit(3) }
	e.forget = func() {
		p.peer.mu.Lock()
		p.peer.version = ""
		p.peer.mu.Unlock()
	}
	return p
}

// serve reads lines until the end of in, then waits for open requests.
func (p *pipe) serve(in io.Reader) error {
	r := bufio.NewReaderSize(in, 64<<10)
	for {
		line, err := r.ReadBytes('\n')
		if line = bytes.TrimSpace(line); len(line) > 0 {
			p.receive(line)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("fake: stdin: %w", err)
		}
	}
	stop := time.AfterFunc(5*time.Second, p.stop) // a request that hangs must not keep the process
	defer stop.Stop()
	p.wg.Wait()
	return nil
}

// receive takes one line.
func (p *pipe) receive(line []byte) {
	m, fail := parse(line)
	era := p.eraOf(&m, "")
	e := entry(p.peer, &m, era)
	e.Body = Raw(line)
	seq := p.ledger.add(e)
	if p.cfg.Deaf {
		return
	}
	x := &exchange{engine: p.engine, peer: p.peer, message: m, era: era, seq: seq}
	x.channel = &lineChannel{pipe: p}
	if fail != nil {
		p.breach(seq, "%s", fail.text)
		_ = p.send(response(m.id, "error", fail.object()))
		return
	}
	if m.id == nil || m.method == "" {
		p.note(p.peer, &m, seq)
		return
	}
	act, scripted := p.match(&m)
	if fail := x.checkLine(); fail != nil && !scripted {
		if m.method != "server/discover" { // to ask a legacy server is how a client finds out
			p.breach(seq, "%s", fail.text)
		}
		p.ledger.set(seq, func(e *Entry) { e.Outcome = "answered" })
		_ = p.send(response(m.id, "error", fail.object()))
		return
	}
	if m.method == "initialize" { // later messages may rely on it
		x.request(p.ctx, act)
		return
	}
	p.wg.Go(func() { x.request(context.WithoutCancel(p.ctx), act) })
}

// checkLine says what is wrong with a request on stdio.
func (x *exchange) checkLine() *rpcError {
	if x.era == Modern {
		return x.checkMeta()
	}
	x.peer.mu.Lock()
	ready := x.peer.version != ""
	x.peer.mu.Unlock()
	if !ready && x.method != "initialize" && x.method != "ping" {
		if x.method == "server/discover" {
			return rpcErrorf(-32601, "method not found: %s", x.method)
		}
		return rpcErrorf(-32600, "received before initialize")
	}
	return nil
}

// send writes one line.
func (p *pipe) send(msg []byte) error { return p.raw(append(slices.Clip(msg), '\n')) }

func (p *pipe) raw(b []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errEnded
	}
	_, err := p.out.Write(b)
	return err
}

// close ends the output; a reader sees the end of the stream.
func (p *pipe) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if c, ok := p.out.(io.Closer); ok {
		_ = c.Close()
	}
}

// lineChannel is the way back for one request on a pipe.
type lineChannel struct{ *pipe }

func (c *lineChannel) junk(line Raw) { _ = c.send([]byte(line)) }

func (c *lineChannel) answer(a answer) {
	body := a.body
	if a.act.Body != "" {
		body = []byte(a.act.Body)
	}
	switch a.act.Fault {
	case Drop:
		c.close()
		return
	case CutBody:
		_ = c.raw(body[:len(body)/2])
		c.close()
		return
	case EndEarly:
		return
	case Truncate:
		body = body[:len(body)/2]
	case Empty:
		body = nil
	case HTML:
		body = []byte("<html><body><h1>500 Internal Server Error</h1></body></html>")
	case Twice:
		_ = c.send(body)
	default: // the other faults were played before the answer, or are in the body
	}
	_ = c.send(body) // a reader that left is no fault
}
