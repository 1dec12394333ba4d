package export

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"weir/server/record/requestlog"
)

// syslog sends to one receiver: RFC 5424 messages, framed by octets over TCP and TLS (RFC 6587, 3.4.1; RFC 5425), one in a datagram over UDP (RFC 5426).
type syslog struct {
	scheme, address string
	host            string // of this machine
	tls             *tls.Config
	shape, version  string

	conn   net.Conn
	closed chan struct{} // when the receiver closed conn
}

// facility is log audit; severities are those of RFC 5424, 6.2.1.
const (
	facility = 13
	notice   = 5
	warning  = 4
	// datagram bounds a UDP message: RFC 5426 asks for less, and receivers take this.
	datagram = 8 << 10
)

func newSyslog(s *Spec, version string, config *tls.Config) *syslog {
	u, _ := url.Parse(s.Syslog) // checked
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "-"
	}
	return &syslog{scheme: u.Scheme, address: u.Host, host: printable(host, 255), tls: config, shape: s.Shape, version: version}
}

// printable is a header field: PRINTUSASCII without spaces, "-" when nothing is left.
func printable(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	if s == "" {
		return "-"
	}
	return s[:min(len(s), most)]
}

// message is one row as RFC 5424 has it: MSGID is the method, the structured data has the id, the message is the shape.
func (s *syslog) message(r *requestlog.Row) ([]byte, error) {
	text, err := shaped(s.shape, s.version, r)
	if err != nil {
		return nil, err
	}
	severity := notice
	if requestlog.Failed(r.Outcome) {
		severity = warning
	}
	b := append(strconv.AppendInt([]byte{'<'}, int64(facility*8+severity), 10), ">1 "...)
	b = r.At.UTC().AppendFormat(b, "2006-01-02T15:04:05.000000Z")
	for _, field := range [...]string{s.host, "weir", strconv.Itoa(os.Getpid()), printable(r.Method, 32)} {
		b = append(append(b, ' '), field...)
	}
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, `]`, `\]`)
	b = append(append(append(b, ` [weir@32473 id="`...), escape.Replace(r.ID)...), `" outcome="`...) // 32473 is the number for documentation (RFC 5612)
	b = append(append(b, escape.Replace(r.Outcome)...), `"] `...)
	return append(b, text...), nil
}

// send implements sink.
func (s *syslog) send(ctx context.Context, _ string, rows []requestlog.Row) error {
	if err := s.connect(ctx); err != nil {
		return err
	}
	var all []byte
	for i := range rows {
		m, err := s.message(&rows[i])
		if err != nil {
			return err
		}
		if s.scheme == "udp" {
			if _, err := s.conn.Write(m[:min(len(m), datagram)]); err != nil {
				s.close()
				return err
			}
			continue
		}
		all = append(append(strconv.AppendInt(all, int64(len(m)), 10), ' '), m...)
	}
	if s.scheme == "udp" {
		return nil
	}
	deadline, _ := ctx.Deadline()
	if err := s.conn.SetWriteDeadline(deadline); err != nil {
		return err
	}
	if _, err := s.conn.Write(all); err != nil {
		s.close()
		return err
	}
	return nil
}

// connect makes a connection where there is none, or the receiver closed it.
func (s *syslog) connect(ctx context.Context) error {
	if s.conn != nil {
		select {
		case <-s.closed:
			s.close()
		default:
			return nil
		}
	}
	var d net.Dialer
	network := "tcp"
	if s.scheme == "udp" {
		network = "udp"
	}
	conn, err := d.DialContext(ctx, network, s.address)
	if err != nil {
		return err
	}
	if s.scheme == "tls" {
		config := s.tls.Clone()
		config.ServerName, _, _ = net.SplitHostPort(s.address)
		secured := tls.Client(conn, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return err
		}
		conn = secured
	}
	s.conn, s.closed = conn, make(chan struct{})
	if s.scheme == "udp" {
		return nil
	}
	go func(closed chan struct{}) { // ends with the connection: receivers send nothing
		_, _ = io.Copy(io.Discard, conn)
		close(closed)
	}(s.closed)
	return nil
}

// close implements sink.
func (s *syslog) close() {
	if s.conn == nil {
		return
	}
	_ = s.conn.SetDeadline(time.Now().Add(time.Second))
	_ = s.conn.Close()
	if s.scheme != "udp" {
		<-s.closed
	}
	s.conn = nil
}
