// Command dex runs Dex, an ordinary enterprise identity provider, for the tests of weir: dex ADDR. Its one user is in the group authors and signs in without
// being asked. Its access tokens look like ID tokens, know no resource indicators, and its keys rotate every three seconds.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/dexidp/dex/server"
	"github.com/dexidp/dex/server/signer"
	"github.com/dexidp/dex/storage"
	"github.com/dexidp/dex/storage/memory"
	"github.com/prometheus/client_golang/prometheus"
)

func main() {
	if err := run(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "dex:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr string) error {
	const life = time.Minute
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	store := storage.WithStaticConnectors(
		storage.WithStaticClients(memory.New(log), []storage.Client{{
			ID: "weir", Secret: "a-secret-of-32-characters-or-more", Name: "weir", RedirectURIs: []string{"http://127.0.0.1:1/callback"},
		}}),
		[]storage.Connector{{ID: "mock", Type: "mockCallback", Name: "mock"}},
	)
	keys, err := (&signer.LocalConfig{KeysRotationPeriod: "3s"}).Open(ctx, store, life, time.Now, log)
	if err != nil {
		return err
	}
	s, err := server.NewServer(ctx, server.Config{
		Issuer: "http://" + addr + "/dex", Storage: store, Signer: keys, SkipApprovalScreen: true, IDTokensValidFor: life, Logger: log,
		PrometheusRegistry: prometheus.NewRegistry(),
	})
	if err != nil {
		return err
	}
	return (&http.Server{Addr: addr, Handler: s, ReadHeaderTimeout: time.Second}).ListenAndServe()
}
