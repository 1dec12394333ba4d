package mcphttp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"sync/atomic"

	"weir/catalog"
	"weir/server"
)

// Certificates are those of a listener: its own, and the authorities of its clients'. They can be read again while it is open.
type Certificates struct {
	spec    server.TLS
	current atomic.Pointer[certificates]
}

// certificates are what the files hold at one time.
type certificates struct {
	config    *tls.Config
	authority *x509.CertPool
}

// ReadCertificates reads the files that s names.
func ReadCertificates(s server.TLS) (*Certificates, error) {
	c := &Certificates{spec: s}
	return c, c.Reload()
}

// Reload reads the files again. After an error what was read before stays. Connections that are open keep the certificate they began with.
func (c *Certificates) Reload() error {
	own, err := tls.LoadX509KeyPair(c.spec.Cert, c.spec.Key)
	if err != nil {
		return catalog.Errorf(catalog.Config, "tls: %v", err)
	}
	next := &certificates{config: &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{own},
		NextProtos: []string{"http/1.1"}, // deadlines of writes are kept by connection
	}}
	if c.spec.ClientCA != "" {
		pem, err := os.ReadFile(c.spec.ClientCA)
		if err != nil {
			return catalog.Errorf(catalog.Config, "tls.clientCA: %v", err)
		}
		next.authority = x509.NewCertPool()
		if !next.authority.AppendCertsFromPEM(pem) {
			return catalog.Errorf(catalog.Config, "tls.clientCA: %s holds no certificate", c.spec.ClientCA)
		}
		// Callers may sign in otherwise; whoever shows a certificate must show a good one.
		next.config.ClientCAs, next.config.ClientAuth = next.authority, tls.VerifyClientCertIfGiven
	}
	c.current.Store(next)
	return nil
}

// ClientCA are the authorities of clients' certificates, nil for none.
func (c *Certificates) ClientCA() *x509.CertPool { return c.current.Load().authority }

// Listen puts TLS on ln.
func (c *Certificates) Listen(ln net.Listener) net.Listener {
	return tls.NewListener(ln, &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			now := c.current.Load()
			if now == nil {
				return nil, errors.New("tls: no certificate")
			}
			return now.config, nil
		},
	})
}
