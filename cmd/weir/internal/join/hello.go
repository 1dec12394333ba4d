package join

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"time"

	"weir/cmd/weir/internal/config"
)

const (
	// protocol is the version of what this package does before MCP begins.
	protocol = 1
	// helloWait bounds how long either end waits for the line.
	helloWait = 5 * time.Second
	// maxHello bounds the line, in bytes.
	maxHello = 16 << 10
	// maxQuestion bounds a question, in bytes: arguments of a call may be long.
	maxQuestion = 32 << 20
)

// Hello is the line that a gateway begins with. Members may be added; what a reader must understand is a new protocol.
type Hello struct {
	Protocol int    `json:"join"`
	Weir     string `json:"weir"` // version of the program
	File     string `json:"file"` // real path of the configuration
	Nonce    []byte `json:"nonce"`
	Digest   []byte `json:"digest"` // of the configuration in force, see config.Expander.Digest; Nonce is the key
}

// greet makes the line of a gateway.
func greet(p Place, version string, inForce *config.Expander) ([]byte, error) {
	h := Hello{Protocol: protocol, Weir: version, File: p.file, Nonce: make([]byte, 16)}
	_, _ = rand.Read(h.Nonce) // never fails (crypto/rand)
	h.Digest = inForce.Digest(h.Nonce)
	b, err := json.Marshal(h)
	return append(b, '\n'), err
}

// matches reports why a gateway is not the one for a file.
func (h *Hello) matches(p Place) error {
	switch {
	case h.Protocol != protocol:
		return fmt.Errorf("it is weir %s, which takes clients in another way", h.Weir)
	case h.File != p.file:
		return fmt.Errorf("it serves %s", h.File)
	}
	return nil
}

// ErrOther says that a gateway runs for a file, with other contents or other variables.
var ErrOther = errors.New("its configuration, or what the variables in it stand for, is not the same")

// ErrNone says that no gateway runs for a configuration.
var ErrNone = errors.New("no gateway runs for this configuration")

// Conn is a connection to a gateway that was joined.
type Conn struct {
	*net.UnixConn
	Weir   string // version of the gateway
	hello  Hello
	reader *bufio.Reader
}

// Dial joins the gateway of a configuration: ErrNone when none runs, another error when there is one that does not match, ErrOther among them.
func Dial(ctx context.Context, p Place, mine *config.Expander) (*Conn, error) {
	c, err := Find(ctx, p)
	if err == nil && !c.Runs(mine) {
		_ = c.Close() // it is of no use
		return nil, fmt.Errorf("join: a gateway runs for %s, but %w", p.file, ErrOther)
	}
	return c, err
}

// Runs reports whether the gateway runs with a configuration as it was read here: the same text, and the same values of its variables.
func (c *Conn) Runs(mine *config.Expander) bool {
	return hmac.Equal(c.hello.Digest, mine.Digest(c.hello.Nonce))
}

// Find connects to the gateway of a file, whatever it has read in it: ErrNone when none runs.
func Find(ctx context.Context, p Place) (*Conn, error) {
	if err := checkFolder(p.folder); errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNone
	} else if err != nil {
		return nil, err
	}
	conn, err := dial(ctx, p)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, refused) {
		return nil, ErrNone
	}
	if err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	c := &Conn{UnixConn: conn, reader: bufio.NewReaderSize(conn, 64<<10)}
	if err := c.listen(p); err != nil {
		_ = conn.Close() // it is of no use
		return nil, err
	}
	return c, nil
}

func dial(ctx context.Context, p Place) (*net.UnixConn, error) {
	var d net.Dialer
	ctx, cancel := context.WithTimeout(ctx, helloWait)
	defer cancel()
	conn, err := d.DialContext(ctx, "unix", p.socket)
	if err != nil {
		return nil, err
	}
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(errors.New("not a Unix socket"), conn.Close())
	}
	if err := samePerson(u); err != nil {
		return nil, errors.Join(err, u.Close())
	}
	return u, nil
}

// listen reads the line and compares.
func (c *Conn) listen(p Place) error {
	if err := c.SetReadDeadline(time.Now().Add(helloWait)); err != nil {
		return err
	}
	line, err := readLine(c.reader, maxHello)
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("join: the gateway did not say hello: %w", err)
	}
	if err := json.Unmarshal(line, &c.hello); err != nil {
		return fmt.Errorf("join: the gateway said hello in a way that this weir does not understand")
	}
	c.Weir = c.hello.Weir
	if err := c.hello.matches(p); err != nil {
		return fmt.Errorf("join: a gateway runs for %s, but %w", p.file, err)
	}
	return c.SetReadDeadline(time.Time{})
}

// errLong says that a line is too long to be held.
var errLong = errors.New("line too long")

// readLine reads a line with its end. When it is longer than limit, what was read of it comes with errLong, and the next call goes on in the line.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return line, err
		case len(line) > limit:
			return line, errLong
		}
	}
}
