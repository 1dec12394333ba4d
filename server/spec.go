package server

import "time"

// Spec is how the gateway listens and what it accepts.
type Spec struct {
	// Listen is the address of the Streamable HTTP endpoint, host:port. The default can be reached from this machine only.
	Listen string `yaml:"listen"`
	// Path is the endpoint's path.
	Path string `yaml:"path"`
	// AllowedHosts are Host header values accepted besides loopback names and the listen address (protection from DNS rebinding).
	AllowedHosts []string `yaml:"allowedHosts"`
	// AllowedOrigins are Origin header values accepted besides the gateway's own; a request without Origin is not from a browser.
	AllowedOrigins []string `yaml:"allowedOrigins"`
	// MaxBody bounds a request's body, in bytes.
	MaxBody int64 `yaml:"maxBody"`
	// MaxHeader bounds a request's header, in bytes.
	MaxHeader int64 `yaml:"maxHeader"`
	// WriteTimeout bounds one write to a client that does not read; it may take half as much again.
	WriteTimeout time.Duration `yaml:"writeTimeout"`
	// SessionIdle ends a legacy session nobody used for so long.
	SessionIdle time.Duration `yaml:"sessionIdle"`
	// DrainTimeout bounds how long a stopping gateway waits for calls in flight.
	DrainTimeout time.Duration `yaml:"drainTimeout"`
	// DrainDelay is how long a stopping gateway still takes requests, and says that it is not ready, before it drains.
	DrainDelay time.Duration `yaml:"drainDelay"`
	// MaxConnections bounds the connections of clients that are open at the same time; 0 is three quarters of the files that the process may open.
	MaxConnections int `yaml:"maxConnections"`
	// ListTTL is how long modern clients may keep a list without asking again; they hear of changes at once when they listen.
	ListTTL time.Duration `yaml:"listTTL"`
	// InsecureNoAuth serves addresses that other machines can reach without sign-in: everybody who can connect may call everything.
	InsecureNoAuth bool `yaml:"insecureNoAuth"`
	// TLS serves HTTPS.
	TLS TLS `yaml:"tls"`
}

// TLS are the certificates of the listener. The files are read again when they change.
type TLS struct {
	// Cert and Key are PEM files with the server's certificate, its chain after it, and the key.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// ClientCA is a PEM file with the authorities of clients' certificates. What those let their owners do is auth.certificates' to say.
	ClientCA string `yaml:"clientCA"`
}

// Default is what stands where the file says nothing.
func Default() Spec {
	return Spec{
		Listen:       "127.0.0.1:7777",
		Path:         "/mcp",
		MaxBody:      16 << 20,
		MaxHeader:    64 << 10,
		WriteTimeout: 10 * time.Second,
		SessionIdle:  30 * time.Minute,
		DrainTimeout: 30 * time.Second,
		ListTTL:      time.Minute,
	}
}
