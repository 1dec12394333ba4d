package export

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// Spec is one place that is told of every request. Exactly one of Syslog, HTTP and OTLP is set.
type Spec struct {
	// Syslog is a receiver of RFC 5424 messages: udp://, tcp:// or tls://host:port.
	Syslog string `yaml:"syslog"`
	// HTTP is the URL of an endpoint that takes batches by POST, a message on each line.
	HTTP string `yaml:"http"`
	// OTLP is the base URL of an OTLP/HTTP endpoint for logs, such as http://localhost:4318.
	OTLP string `yaml:"otlp"`
	// Shape of a message: json, cef (ArcSight Common Event Format) or ocsf (API Activity); json when empty. OTLP has a shape of its own.
	Shape string `yaml:"shape"`
	// Headers are sent with every HTTP or OTLP batch.
	Headers map[string]string `yaml:"headers"`
	// CA is a file with the certificates of the authorities that are trusted, in place of the system's.
	CA string `yaml:"ca"`
	// Spool is the folder where messages wait while the place is away; without one they wait in memory.
	Spool string `yaml:"spool"`
	// SpoolBytes bounds the folder; 0 means 64 MiB.
	SpoolBytes int64 `yaml:"spoolBytes"`
}

// Shapes are the values of Spec.Shape.
func Shapes() []string { return []string{"json", "cef", "ocsf"} }

// Check says what is wrong with a spec whose references are resolved: the key, and why. Its error holds no value.
func (s *Spec) Check() (key string, err error) {
	set := 0
	for _, address := range [...]string{s.Syslog, s.HTTP, s.OTLP} {
		if address != "" {
			set++
		}
	}
	if set != 1 {
		return "", errors.New("needs exactly one of syslog, http and otlp")
	}
	switch {
	case s.Syslog != "":
		u, err := url.Parse(s.Syslog)
		if err != nil || !slices.Contains([]string{"udp", "tcp", "tls"}, u.Scheme) {
			return "syslog", errors.New("want udp://host:port, tcp://host:port or tls://host:port")
		}
		if _, port, err := net.SplitHostPort(u.Host); err != nil || port == "" || u.Path != "" || u.User != nil {
			return "syslog", errors.New("want udp://host:port, tcp://host:port or tls://host:port")
		}
		if len(s.Headers) > 0 {
			return "headers", errors.New("does nothing beside syslog; remove it")
		}
	case s.OTLP != "" && s.Shape != "":
		return "shape", errors.New("does nothing beside otlp; remove it")
	}
	if s.HTTP != "" {
		if u, err := url.Parse(s.HTTP); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			return "http", errors.New("want a URL that starts with http:// or https:// and has no password")
		}
	}
	if s.OTLP != "" {
		return "otlp", CheckOTLP(s.OTLP, "headers")
	}
	return "", nil
}

// CheckOTLP says what is wrong with the base URL of an OTLP/HTTP endpoint; headers names the place for what such a URL cannot carry. Its error holds
// no value.
func CheckOTLP(base, headers string) error {
	u, err := url.Parse(base)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return errors.New("want a URL that starts with http:// or https://")
	case u.User != nil:
		return fmt.Errorf("a user and a password in the URL are not sent; put them into %s", headers)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return fmt.Errorf("a query or a fragment in the URL is not sent; put what it says into %s", headers)
	}
	for _, signal := range [...]string{"/v1/traces", "/v1/metrics", "/v1/logs"} {
		if strings.HasSuffix(strings.TrimRight(u.Path, "/"), signal) {
			return fmt.Errorf("want the URL without %s, which is appended", signal)
		}
	}
	return nil
}

// SignalURL is where a signal (traces, metrics or logs) goes at a base URL that CheckOTLP lets pass: its path is appended, as to OTEL_EXPORTER_OTLP_ENDPOINT
// (OpenTelemetry specification, protocol/exporter, "Endpoint URLs for OTLP/HTTP").
func SignalURL(base, signal string) string { return strings.TrimRight(base, "/") + "/v1/" + signal }
