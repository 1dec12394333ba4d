package mcphttp

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// keptBody is the largest buffer that goes back to the pool: one large request must not pin its memory for ever.
const keptBody = 2 << 20

// smallBody is the largest body that must come with its header, in the time that is given for that.
const smallBody = 64 << 10

// buffer is a request body on loan from the pool.
type buffer struct {
	bytes []byte
	home  *[]byte
}

// release ends the loan. Nothing may refer to the bytes afterwards.
func (b *buffer) release() {
	if b.home != nil && cap(*b.home) <= keptBody {
		bodies.Put(b.home)
	}
	b.home = nil
}

var bodies = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

// read reads the whole body within the limits. reason is "" on success.
func (e *Endpoint) read(w http.ResponseWriter, r *http.Request) (_ *buffer, status int, reason string) {
	limit := e.spec.MaxBody
	if r.ContentLength > limit {
		return nil, http.StatusRequestEntityTooLarge, tooLarge(limit)
	}
	if r.ContentLength < 0 || r.ContentLength > smallBody {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)) // not every ResponseWriter has one (tests)
	}
	home := bodies.Get().(*[]byte) //nolint:errcheck,forcetypeassert // nothing else is put there
	data := (*home)[:0]
	if n := int(r.ContentLength); n > cap(data) {
		data = make([]byte, 0, n)
	}
	data, err := readAll(r.Body, data, limit)
	// The time limit is for sending the request. Left alone, it would end the wait for a slow answer as if the client had gone.
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	*home = data[:0]
	b := &buffer{bytes: data, home: home}
	switch {
	case errors.Is(err, errTooLarge):
		b.release()
		return nil, http.StatusRequestEntityTooLarge, tooLarge(limit)
	case err != nil:
		b.release()
		return nil, http.StatusBadRequest, "request body could not be read"
	case len(data) == 0:
		b.release()
		return nil, http.StatusBadRequest, "request body is empty"
	}
	return b, 0, ""
}

var errTooLarge = errors.New("too large")

// readAll appends r to data until EOF, and fails rather than read past limit.
func readAll(r io.Reader, data []byte, limit int64) ([]byte, error) {
	for {
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
		n, err := r.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if int64(len(data)) > limit {
			return data, errTooLarge
		}
		if err == io.EOF {
			return data, nil
		}
		if err != nil {
			return data, err
		}
	}
}

func tooLarge(limit int64) string {
	return "request body is larger than " + strconv.FormatInt(limit, 10) + " bytes (maxBody)"
}
