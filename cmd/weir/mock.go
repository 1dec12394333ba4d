package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"weir/cmd/weir/internal/term"
	"weir/translate/openapi"
)

const (
	// maxMocked bounds a description that is mocked, in bytes.
	maxMocked = 64 << 20
	// mockHeader bounds how long a client may take for its header.
	mockHeader = 10 * time.Second
)

// mock is weir mock SPEC.
func (c *cli) mock() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use: "mock SPEC", Short: "serve an OpenAPI description as a small mock, for tests",
		Long: "Serve an OpenAPI description: every operation answers its first success with a value made from the schema, and /openapi.json is the\n" +
			"description itself. Arguments are not checked. The address is printed on standard output, each request on standard error.",
		Example: "  weir mock petstore.yaml\n  weir mock petstore.yaml --listen 127.0.0.1:7790",
		Args:    between(1, 1, "the file of a description"), ValidArgsFunction: completeFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			text, err := readMocked(args[0])
			if err != nil {
				return err
			}
			m, err := openapi.NewMock(text)
			if err != nil {
				return &term.UsageError{Msg: fmt.Sprintf("weir mock: %s: %v", args[0], err), Hint: "weir mock --help"}
			}
			return c.serveMock(cmd.Context(), listen, c.mocked(m, text))
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "listen on `ADDR` (host:port); port 0 is any that is free")
	must(cmd.RegisterFlagCompletionFunc("listen", cobra.NoFileCompletions))
	return cmd
}

func readMocked(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, &term.UsageError{Msg: fmt.Sprintf("weir mock: %v", err), Hint: "weir mock --help"}
	case info.Size() > maxMocked:
		return nil, &term.UsageError{Msg: fmt.Sprintf("weir mock: %s: larger than %d MiB", name, maxMocked>>20)}
	}
	return os.ReadFile(name)
}

// status remembers what was answered.
type status struct {
	http.ResponseWriter
	code int
}

// WriteHeader implements http.ResponseWriter.
func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

// mocked serves the mock and its description, and says what was asked for.
func (c *cli) mocked(m *openapi.Mock, text []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := &status{ResponseWriter: w, code: http.StatusOK}
		if r.URL.Path == "/openapi.json" && r.Method == http.MethodGet {
			_, _ = s.Write(text) // the client went away
		} else {
			m.ServeHTTP(s, r)
		}
		c.Note("%s", term.Line(fmt.Sprintf("%s %s %d", r.Method, r.URL.RequestURI(), s.code)))
	})
}

func (c *cli) serveMock(ctx context.Context, listen string, h http.Handler) error {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
	if err != nil {
		return &term.UsageError{Msg: "weir mock: " + err.Error(), Hint: "weir mock --help"}
	}
	c.Printf("http://%s\n", ln.Addr())
	s := &http.Server{Handler: h, ReadHeaderTimeout: mockHeader}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
