package h1

import (
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync/atomic"
)

// receive reads the header of the answer to r; its body reads the rest.
func (c *conn) receive(r *http.Request) (*http.Response, error) {
	h, err := c.readHead()
	for err == nil && h.status < 200 { // informational; the real one follows (RFC 9110, 15.2)
		if h.status == http.StatusSwitchingProtocols {
			return nil, errStatus
		}
		h, err = c.readHead()
	}
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	resp := &http.Response{
		Status: strconv.Itoa(h.status) + " " + h.reason, StatusCode: h.status, Proto: "HTTP/1." + strconv.Itoa(h.minor), ProtoMajor: 1, ProtoMinor: h.minor,
		Header: h.header, Request: r, ContentLength: -1,
	}
	b := &body{c: c, keep: keeps(h)}
	empty, err := b.frame(r.Method, h, resp)
	if err != nil {
		return nil, err
	}
	resp.Body = b
	if empty {
		b.end()
	}
	return resp, nil
}

// readHead reads one status line and header.
func (c *conn) readHead() (head, error) {
	left := c.headerLimit()
	h := head{header: make(http.Header, 4)}
	line, err := c.line(&left)
	if err != nil {
		return h, err
	}
	if err := h.parseStatus(line); err != nil {
		return h, err
	}
	for {
		line, err := c.line(&left)
		if err != nil {
			return h, err
		}
		if len(line) == 0 {
			return h, nil
		}
		if err := h.addField(line); err != nil {
			return h, err
		}
	}
}

func (c *conn) headerLimit() int {
	if c.t.MaxHeader > 0 {
		return c.t.MaxHeader
	}
	return defaultMaxHeader
}

// line reads a line without its end, which may be a bare LF (RFC 9112, 2.2). It is valid until the next read.
func (c *conn) line(left *int) ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if *left -= len(line); err != nil || *left < 0 {
		if err == nil || !errors.Is(err, io.EOF) && len(line) == c.in.Size() {
			return nil, errTooLarge
		}
		return nil, err
	}
	line = line[:len(line)-1]
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, nil
}

// keeps reports whether the connection may carry another request (RFC 9112, 9.3).
func keeps(h head) bool {
	keep := h.minor == 1
	for _, v := range h.header["Connection"] {
		for part := range strings.SplitSeq(v, ",") {
			switch part = strings.TrimSpace(part); {
			case strings.EqualFold(part, "close"):
				return false
			case strings.EqualFold(part, "keep-alive"):
				keep = true
			}
		}
	}
	return keep
}

var errFraming = errors.New("h1: the length of the answer is not clear")

// body is the body of an answer. The connection goes back when it was read to its end, and is closed when it was not. Close may be called while
// another goroutine reads.
type body struct {
	c      *conn
	chunks io.Reader // of a chunked body
	left   int64     // bytes to come, -1 when the end of the connection ends the body
	keep   bool
	over   atomic.Bool // the connection is somebody else's or closed
}

// frame finds how the body ends, or that there is none (RFC 9112, 6.3). Answers that say it in two ways are refused.
func (b *body) frame(method string, h head, resp *http.Response) (empty bool, err error) {
	lengths, codings := h.header["Content-Length"], h.header["Transfer-Encoding"]
	switch {
	case method == http.MethodHead || h.status == http.StatusNoContent || h.status == http.StatusNotModified:
		resp.ContentLength = 0
		return true, nil
	case len(codings) > 0:
		if len(codings) > 1 || len(lengths) > 0 || !strings.EqualFold(codings[0], "chunked") || h.minor == 0 {
			return false, errFraming
		}
		b.chunks = httputil.NewChunkedReader(b.c.in)
		resp.TransferEncoding = []string{"chunked"}
	case len(lengths) > 0:
		n, err := strconv.ParseUint(lengths[0], 10, 63)
		if err != nil || len(lengths) > 1 {
			return false, errFraming
		}
		b.left, resp.ContentLength = int64(n), int64(n)
		return n == 0, nil
	default:
		b.left, b.keep = -1, false
	}
	return false, nil
}

// Read reads the body; a connection that ends before the body does is io.ErrUnexpectedEOF.
func (b *body) Read(p []byte) (int, error) {
	switch {
	case b.over.Load():
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	case b.chunks != nil:
		return b.readChunked(p)
	case b.left < 0:
		n, err := b.c.in.Read(p)
		if err != nil {
			b.end()
		}
		return n, err
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.c.in.Read(p)
	b.left -= int64(n)
	switch {
	case b.left == 0:
		b.end()
		return n, io.EOF
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (b *body) readChunked(p []byte) (int, error) {
	n, err := b.chunks.Read(p)
	if err != io.EOF {
		return n, err
	}
	left := b.c.headerLimit() // of the trailer, which nobody reads
	for {
		end, err := b.c.in.Peek(2)
		if err == nil && string(end) == "\r\n" {
			_, _ = b.c.in.Discard(2) // it was peeked at
			b.end()
			return n, io.EOF
		}
		if line, err := b.c.line(&left); err != nil || len(line) == 0 {
			return n, io.ErrUnexpectedEOF
		}
	}
}

// end is the end of the body: the connection rests, or is closed.
func (b *body) end() {
	if b.over.Swap(true) {
		return
	}
	if b.c.finish() && b.keep {
		b.c.t.rest(b.c)
	} else {
		b.c.close()
	}
}

// Close ends the use of the answer. A connection whose body was not read to its end cannot be used again.
func (b *body) Close() error {
	if !b.over.Swap(true) {
		b.c.close()
	}
	return nil
}
