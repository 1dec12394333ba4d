package authn_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"weir/server/authn"
)

// Failed sign-ins are in the log, once a minute for each reason and address, and all are counted. No token is in either.
func TestRefusedSignInsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		reader := sdkmetric.NewManualReader()
		spec := authn.Default()
		spec.APIKeys = []authn.APIKey{{Hash: hash(strings.Repeat("good", 10)), Owner: "ci"}}
		a, err := authn.New(authn.Options{
			Spec: spec, Resources: resources(), Log: slog.New(slog.NewTextHandler(&log, nil)), Meter: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("weir"),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		try := func(address, token string) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://weir.example.com/mcp", nil)
			if err != nil {
				t.Fatal(err)
			}
			if r.RemoteAddr = address; token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			_, _ = a.Authenticate("/mcp", r) // what is told of it matters here
		}
		lines := func() (all []string) {
			for line := range strings.Lines(log.String()) {
				_, rest, _ := strings.Cut(line, " ")
				all = append(all, strings.TrimSpace(rest))
			}
			log.Reset()
			return all
		}
		line := func(address string, status int, reason string, times int) string {
			return fmt.Sprintf(`level=WARN msg="sign-in refused" address=%s status=%d reason=%q resource=%s times=%d`, address, status, reason, resourceURL, times)
		}
		const unknown = "the API key is not known"
		for n := range 50 {
			try(fmt.Sprintf("192.0.2.1:%d", 1000+n), strings.Repeat("hidden", 8))
		}
		try("192.0.2.2:1", strings.Repeat("hidden", 8))
		try("192.0.2.2:1", "hidden\ttoken")
		try("192.0.2.2:1", "")
		try("192.0.2.2:1", strings.Repeat("good", 10))
		want := []string{line("192.0.2.1", 401, unknown, 1), line("192.0.2.2", 401, unknown, 1), line("192.0.2.2", 400, "the Authorization header is malformed", 1)}
		if diff := cmp.Diff(want, lines()); diff != "" {
			t.Errorf("the log (-want +got):\n%s", diff)
		}
		time.Sleep(time.Minute)
		try("192.0.2.1:1", strings.Repeat("hidden", 8))
		if diff := cmp.Diff([]string{line("192.0.2.1", 401, unknown, 50)}, lines()); diff != "" {
			t.Errorf("the log a minute later (-want +got):\n%s", diff)
		}
		var got metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &got); err != nil {
			t.Fatal(err)
		}
		counted := map[string]int64{}
		for _, m := range got.ScopeMetrics[0].Metrics {
			if sum, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == "weir.auth.refusals" {
				for _, p := range sum.DataPoints {
					reason, _ := p.Attributes.Value("weir.reason")
					counted[reason.AsString()] += p.Value
				}
			}
		}
		if diff := cmp.Diff(map[string]int64{unknown: 52, "the Authorization header is malformed": 1}, counted); diff != "" {
			t.Errorf("the metric (-want +got):\n%s", diff)
		}
	})
}
