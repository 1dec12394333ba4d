package record_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/policy"
	"weir/server"
	"weir/server/record"
	"weir/server/record/audit"
	"weir/server/record/requestlog"
)

// BenchmarkServe is what each kind of record costs, in CPU of the process for one call, with 32 callers.
func BenchmarkServe(b *testing.B) {
	for _, tt := range []struct {
		name                             string
		traces, metrics, audit, requests bool
	}{{name: "nothing"}, {name: "traces", traces: true}, {name: "metrics", metrics: true}, {name: "audit", audit: true}, {name: "requests", requests: true}, {"all", true, true, true, true}} {
		b.Run(tt.name, func(b *testing.B) {
			o := record.Options{Log: slog.New(slog.DiscardHandler)}
			if tt.traces {
				o.Tracer, o.Sample = sdktrace.NewTracerProvider().Tracer("weir"), 0.01
			}
			if tt.metrics {
				o.Meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())).Meter("weir")
			}
			if tt.audit {
				l, err := audit.Open(audit.Options{Dir: b.TempDir()})
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = l.Close() }()
				o.Audit = l
			}
			if tt.requests {
				l, err := requestlog.Open(b.Context(), requestlog.Spec{Database: filepath.Join(b.TempDir(), "r.db")}, o.Log)
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = l.Close() }()
				o.Done = func(r *record.Record) { l.Put(r.Row()) }
				defer func() { b.ReportMetric(float64(l.Lost())/float64(b.N), "lost/op") }()
			}
			r, err := record.New(o)
			if err != nil {
				b.Fatal(err)
			}
			benchServe(b, r)
		})
	}
}

func benchServe(b *testing.B, r *record.Recorder) {
	b.Helper()
	engine, err := policy.New()
	if err != nil {
		b.Fatal(err)
	}
	c := catalog.New()
	c.Publish(catalog.Build([]*catalog.Source{{Upstream: "bank", Capabilities: []byte(`{"tools":{}}`), Tools: [][]byte{[]byte(`{"name":"pay","inputSchema":{"type":"object"}}`)}}}, catalog.Options{}))
	var answer, request rawjson.Message
	if rawjson.Scan(&answer, []byte(result)) != nil || rawjson.Scan(&request, []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"bank__pay"}}`)) != nil {
		b.Fatal("scan")
	}
	up := upstreamFunc(func(context.Context, *catalog.Call) (*catalog.Answer, error) {
		return catalog.NewAnswer(&answer, catalog.Modern, nil), nil
	})
	g := server.New(server.Options{Catalog: c, Policy: engine, Upstream: r.Upstream(up), Observer: r, Log: slog.New(slog.DiscardHandler)})
	defer g.Close()
	client := &catalog.Client{Era: catalog.Modern, Version: "2026-07-28", Capabilities: []byte(`{}`)}
	before := cpu()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			g.Serve(b.Context(), &server.Request{Principal: policy.LocalUser(), Client: client, Message: &request}).Release()
		}
	})
	b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
