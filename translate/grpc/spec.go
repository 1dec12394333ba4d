package grpc

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"weir/translate"
)

// Spec is what the configuration of an upstream says about a gRPC server.
type Spec struct {
	// An include or exclude pattern is a glob over pkg.Service/Method, and over the name of the tool.
	translate.Spec `yaml:"-"`

	// GRPC is where the server listens: https://host:port or host:port, or http://host:port for one without TLS.
	GRPC string `yaml:"grpc"`
	// Replicas are further addresses of the same services; calls go to all of them in turn.
	Replicas []string `yaml:"replicas"`
	// Descriptors are files with a FileDescriptorSet, as protoc and buf write them. With none, and no Protos, the server is asked by reflection.
	Descriptors []string `yaml:"descriptors"`
	// Protos are .proto files whose services are offered.
	Protos []string `yaml:"protos"`
	// ImportPaths are the folders in which Protos and what they import lie; empty means the folder of each.
	ImportPaths []string `yaml:"importPaths"`

	// Metadata are names of request metadata that a model may set, in the argument metadata.
	Metadata []string `yaml:"metadata"`
	// Trailers are names of response metadata that are told with the result.
	Trailers []string `yaml:"trailers"`
	// MaxMessages bounds the messages that are collected from a stream; 0 means 100.
	MaxMessages int `yaml:"maxMessages"`
	// Bidi offers methods that stream in both directions too: all messages are sent, then the answers collected.
	Bidi bool `yaml:"bidi"`
	// Connections is how many connections are kept; 0 means one, which carries many calls at a time.
	Connections int `yaml:"connections"`
	// Keepalive is how long a connection with calls is silent before it is probed; 0 means five minutes, which every server bears.
	Keepalive time.Duration `yaml:"keepalive"`
	// Authority is the server's name in TLS and in requests, where it is not the host of GRPC.
	Authority string `yaml:"authority"`
}

const (
	defaultMaxMessages = 100
	defaultKeepalive   = 5*time.Minute + 10*time.Second
	// maxConnections bounds the pool.
	maxConnections = 64
)

// Check finds settings that are none.
func (s *Spec) Check() error {
	if err := translate.CheckMode(s.Mode); err != nil {
		return err
	}
	if s.GRPC == "" {
		return errors.New("grpc names no server")
	}
	for _, a := range s.Addresses() {
		u, err := url.Parse(a)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			return errors.New("grpc and replicas are host:port, or http://host:port for a server without TLS")
		case u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
			return errors.New("grpc and replicas have nothing besides host and port")
		case (u.Scheme == "http") != s.plaintext():
			return errors.New("replicas and grpc are all http or all https")
		}
	}
	for _, name := range append(slices.Clone(s.Metadata), s.Trailers...) {
		if !metadataName(name) {
			return fmt.Errorf("%q cannot be metadata of a call", name)
		}
	}
	if s.Connections < 0 || s.Connections > maxConnections {
		return fmt.Errorf("connections is none of 0 to %d", maxConnections)
	}
	if s.MaxMessages < 0 {
		return errors.New("maxMessages is negative")
	}
	return nil
}

// Addresses are the URLs of the server and its replicas, none when there is no server.
func (s *Spec) Addresses() []string {
	if s.GRPC == "" {
		return nil
	}
	all := append([]string{s.GRPC}, s.Replicas...)
	for i, a := range all {
		if !strings.Contains(a, "://") {
			all[i] = "https://" + a
		}
	}
	return all
}

// Reflected reports whether the server is asked for its description.
func (s *Spec) Reflected() bool { return len(s.Descriptors) == 0 && len(s.Protos) == 0 }

// plaintext reports whether the configuration says that there is no TLS.
func (s *Spec) plaintext() bool { return strings.HasPrefix(s.GRPC, "http://") }

// dialAddress is host:port of an address that Check let through.
func dialAddress(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// metadataName reports whether a name may be metadata of a call: of the alphabet of the protocol, and nothing that belongs to the connection
// or proves who calls.
func metadataName(name string) bool {
	if name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" || strings.HasPrefix(name, "grpc-") || strings.HasSuffix(name, "-bin") {
		return false
	}
	switch name {
	case "host", "te", "content-type", "content-length", "user-agent", "authorization", "cookie", "connection", "transfer-encoding", "upgrade",
		"keep-alive", "forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip":
		return false
	}
	return !strings.HasPrefix(name, "proxy-")
}
