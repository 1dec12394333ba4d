package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// errTruncated is an answer that ended before its end.
var errTruncated = errors.New("truncated answer")

// reply is one HTTP/1.1 response, read whole. Its body is valid until the next one is read into the same buffer.
type reply struct {
	status int
	events bool // content type text/event-stream
	body   []byte
}

// readReply reads the response to a POST. It knows what Go's servers write: a length or chunks.
func readReply(r *bufio.Reader, buf []byte) (reply, error) {
	var p reply
	line, err := r.ReadSlice('\n')
	if err != nil {
		return p, fmt.Errorf("status line: %w", noEOF(err))
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return p, fmt.Errorf("status line %q", line)
	}
	if p.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return p, fmt.Errorf("status line %q", line)
	}
	length, chunked := -1, false
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return p, fmt.Errorf("header: %w", noEOF(err))
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case equalFold(name, "content-length"):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return p, fmt.Errorf("content length %q", value)
			}
		case equalFold(name, "transfer-encoding"):
			chunked = equalFold(value, "chunked")
		case equalFold(name, "content-type"):
			p.events = bytes.HasPrefix(value, []byte("text/event-stream"))
		}
	}
	switch {
	case chunked:
		p.body, err = readChunks(r, buf[:0])
	case length >= 0:
		p.body, err = readExactly(r, buf[:0], length)
	default:
		err = errors.New("an answer without length")
	}
	return p, err
}

func equalFold(b []byte, lower string) bool { return bytes.EqualFold(b, []byte(lower)) }

func readChunks(r *bufio.Reader, dst []byte) ([]byte, error) {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return dst, errTruncated
		}
		n, err := strconv.ParseInt(string(bytes.TrimRight(line, "\r\n")), 16, 32)
		if err != nil {
			return dst, fmt.Errorf("chunk size %q", line)
		}
		if dst, err = readExactly(r, dst, int(n)); err != nil {
			return dst, err
		}
		if _, err := r.Discard(len("\r\n")); err != nil {
			return dst, errTruncated
		}
		if n == 0 {
			return dst, nil
		}
	}
}

// readExactly appends n bytes to dst.
func readExactly(r io.Reader, dst []byte, n int) ([]byte, error) {
	at := len(dst)
	if cap(dst)-at < n {
		dst = append(make([]byte, 0, at+n+at/2), dst...)
	}
	dst = dst[:at+n]
	if _, err := io.ReadFull(r, dst[at:]); err != nil {
		return dst[:at], errTruncated
	}
	return dst, nil
}

// noEOF tells a connection that was closed between answers from one that was cut within.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the connection was closed in place of an answer")
	}
	return err
}
