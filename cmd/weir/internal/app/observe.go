package app

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.40.0"

	"weir/catalog"
	"weir/cmd/weir/internal/config"
	"weir/server"
	"weir/server/record"
	"weir/server/record/audit"
	"weir/server/record/export"
	"weir/server/record/requestlog"
)

// observation is what is told of every request, and to whom.
type observation struct {
	recorder   *record.Recorder // nil when nobody is told anything: then requests pay for nothing
	audit      *audit.Log
	requests   *requestlog.Log
	exports    []*export.Exporter
	headTold   uint64       // the newest record of the audit log that other systems know of
	untell     func()       // ends telling them
	prometheus http.Handler // nil when nobody fetches metrics
	meter      metric.Meter // never nil
	reloads    metric.Int64Counter
	lostSpans  func() int64 // nil when no spans are sent
	ends       []func(context.Context)
}

// observe wires what the file says of telemetry and of the audit log.
func (a *App) observe(file *config.File) (*observation, error) {
	o := &observation{}
	options := record.Options{
		AuditContents:  record.Contents{Arguments: file.Audit.Arguments, Results: file.Audit.Results},
		RecordContents: record.Contents{Arguments: file.RequestLog.Arguments, Results: file.RequestLog.Results},
		Log:            a.log, Policy: func() string { return a.policy.Policy().Digest() },
	}
	err := errors.Join(o.trace(file.Telemetry.Traces, a, &options), o.measure(file.Telemetry.Metrics, a, &options))
	if err == nil && file.Audit.Dir != "" {
		o.audit, err = a.openAudit(file)
		options.Audit = o.audit
		if file.Audit.Intents != "all" {
			options.ReadOnly = func(e *catalog.Entry) bool { return a.policy.Policy().ReadOnly(e) }
		}
	}
	if err == nil && file.RequestLog.Database != "" {
		o.requests, err = OpenRequests(file, a.log)
	}
	if err == nil {
		err = o.export(a, file)
	}
	if err == nil && o.audit != nil && len(o.exports) > 0 {
		o.tellHeads()
	}
	switch {
	case o.requests != nil || len(o.exports) > 0:
		options.Done = func(r *record.Record) {
			a.record(r)
			o.put(r.Row())
		}
	case a.log.Enabled(context.Background(), slog.LevelDebug):
		options.Done = a.record
	}
	if err == nil {
		err = o.count(options.Meter)
	}
	told := options.Tracer != nil || options.Meter != nil || o.audit != nil || options.Done != nil
	if err == nil && told {
		o.recorder, err = record.New(options)
	}
	if err != nil {
		return nil, errors.Join(err, o.close())
	}
	return o, nil
}

// count makes the instruments for what is no request; m is nil when nobody is told metrics.
func (o *observation) count(m metric.Meter) (err error) {
	if o.meter = m; m == nil {
		o.meter = noop.NewMeterProvider().Meter("")
	}
	o.reloads, err = o.meter.Int64Counter("weir.config.reloads", metric.WithDescription("Configurations that were read while running, by what became of them"))
	if err != nil || o.lostSpans == nil {
		return err
	}
	_, err = o.meter.Int64ObservableCounter("weir.spans.lost", metric.WithDescription("Spans that did not reach the OTLP endpoint"),
		metric.WithInt64Callback(func(_ context.Context, to metric.Int64Observer) error {
			to.Observe(o.lostSpans())
			return nil
		}))
	return err
}

// observer follows the gateway's requests.
func (o *observation) observer() server.Observer {
	if o.recorder == nil {
		return server.Unobserved{}
	}
	return o.recorder
}

// upstream is up, observed.
func (o *observation) upstream(up server.Upstream) server.Upstream {
	if o.recorder == nil {
		return up
	}
	return o.recorder.Upstream(up)
}

// subscriber is s, observed.
func (o *observation) subscriber(s server.Subscriber) server.Subscriber {
	if o.recorder == nil {
		return s
	}
	return o.recorder.Subscriber(s)
}

// AuditDir is the folder of a file's audit log, which is relative to the configuration's.
func AuditDir(file *config.File) (string, error) {
	dir, err := file.Expander.Expand(file.Audit.Dir)
	return beside(filepath.Dir(file.Path), dir), err
}

// openAudit opens the audit log.
func (a *App) openAudit(file *config.File) (*audit.Log, error) {
	dir, err := AuditDir(file)
	if err != nil {
		return nil, err
	}
	l, err := audit.Open(audit.Options{
		Dir: dir, SegmentBytes: file.Audit.SegmentBytes, Keep: file.Audit.Keep, OnFailure: audit.OnFailure(file.Audit.OnFailure), Log: a.log,
	})
	if err != nil {
		return nil, &catalog.Error{Code: catalog.Config, Msg: err.Error(), Hint: "change audit.dir to a folder that can be written", Err: err}
	}
	return l, nil
}

// OpenRequests opens the request log of a file; an SQLite file's path is relative to the configuration's folder.
func OpenRequests(file *config.File, log *slog.Logger) (*requestlog.Log, error) {
	return openRequests(file, "write", func(s requestlog.Spec) (*requestlog.Log, error) {
		return requestlog.Open(context.Background(), s, log)
	})
}

// LookAtRequests opens the request log of a file for reading.
func LookAtRequests(ctx context.Context, file *config.File) (*requestlog.Log, error) {
	return openRequests(file, "read", func(s requestlog.Spec) (*requestlog.Log, error) { return requestlog.Look(ctx, s) })
}

// openRequests opens the request log of a file, whose database this user must be able to read or write.
func openRequests(file *config.File, must string, open func(requestlog.Spec) (*requestlog.Log, error)) (*requestlog.Log, error) {
	spec := file.RequestLog
	var err error
	if spec.Database, err = file.Expander.Expand(spec.Database); err != nil {
		return nil, err
	}
	hint := "change requestLog.database to one that this user can " + must
	if !strings.Contains(spec.Database, "://") {
		spec.Database = beside(filepath.Dir(file.Path), spec.Database)
	}
	l, err := open(spec)
	switch {
	case errors.Is(err, requestlog.ErrBroken):
		hint = "move it away; the gateway makes a new one when it starts"
	case errors.Is(err, fs.ErrPermission):
		hint = "let this user " + must + " it, or change requestLog.database"
	}
	if err != nil {
		return nil, &catalog.Error{Code: catalog.Config, Msg: err.Error(), Hint: hint, Err: err}
	}
	return l, nil
}

// about is what all telemetry says of its source.
func (a *App) about() *resource.Resource {
	return resource.NewSchemaless(semconv.ServiceName("weir"), semconv.ServiceVersion(a.env.Version))
}

// measure makes metrics for an OTLP endpoint, for Prometheus, or both.
func (o *observation) measure(m record.Metrics, a *App, options *record.Options) error {
	all := []sdkmetric.Option{sdkmetric.WithResource(a.about())}
	told := func() {}
	if m.OTLP != "" {
		reader, d, err := a.reader(m)
		if err != nil {
			return err
		}
		all, told = append(all, sdkmetric.WithReader(reader)), func() { d.end(0) }
	}
	if m.Prometheus != "" {
		registry := prometheus.NewRegistry()
		exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry))
		if err != nil {
			return err
		}
		all = append(all, sdkmetric.WithReader(exporter))
		o.prometheus = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	}
	if len(all) == 1 {
		return nil
	}
	p := sdkmetric.NewMeterProvider(all...)
	o.ends = append(o.ends, func(ctx context.Context) {
		_ = p.Shutdown(ctx) // what it could not send is counted
		told()
	})
	options.Meter = p.Meter("weir")
	return nil
}

// scraped serves /metrics for Prometheus until the returned func is called.
func (a *App) scraped(ctx context.Context) (stop func(), err error) {
	if a.observation.prometheus == nil {
		return func() {}, nil
	}
	addr, err := a.expander.Load().Expand(a.current().Telemetry.Metrics.Prometheus)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, &catalog.Error{
			Code: catalog.Config, Msg: "telemetry.metrics.prometheus: cannot listen on " + addr, Err: err, Hint: "another program may have the port; choose another",
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		a.observation.recorder.Flush() // it may be scraped because of what happened just now
		a.observation.prometheus.ServeHTTP(w, r)
	})
	s := &http.Server{Handler: mux, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(ln) // Close ends it
	}()
	return func() {
		_ = s.Close()
		<-ended
	}, nil
}

// close sends what is still to be told, and closes the audit log.
func (o *observation) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	var errs []error
	if o.recorder != nil {
		o.recorder.Flush()
	}
	for _, end := range o.ends {
		end(ctx)
	}
	if o.untell != nil {
		o.untell()
	}
	if o.audit != nil {
		errs = append(errs, o.audit.Close())
	}
	if o.untell != nil {
		o.tellHead()
	}
	if o.requests != nil {
		errs = append(errs, o.requests.Close())
	}
	for _, e := range o.exports {
		errs = append(errs, e.Close())
	}
	return errors.Join(errs...)
}

// tap is an Observer that tells somebody else how requests ended too.
type tap struct {
	server.Observer
	ended func(*server.Event)
}

// End implements server.Observer.
func (t tap) End(ctx context.Context, e *server.Event) {
	t.Observer.End(ctx, e)
	t.ended(e)
}
