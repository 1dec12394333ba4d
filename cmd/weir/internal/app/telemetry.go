package app

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"golang.org/x/net/http/httpguts"

	"weir/catalog"
	"weir/server/record"
	"weir/server/record/export"
)

const (
	// spansWaiting bounds the spans that wait to be sent, those of the batch on its way included. Further ones are lost, and counted.
	spansWaiting = 2048
	// troubleEvery is how often the log is told at most that an endpoint began to fail.
	troubleEvery = time.Minute
)

// errRedirected keeps telemetry and its credentials from going where the configuration did not send them.
var errRedirected = errors.New("it redirects to another place")

// delivery follows how the sending of spans or of reports to one OTLP endpoint goes. The log has a line when it begins to fail and one when it works again, with what was lost in
// between; OpenTelemetry's own handler of errors, which is one for the process and writes to standard error, hears nothing.
type delivery struct {
	log      *slog.Logger // says which endpoint
	key      string       // of the configuration
	endpoint string       // scheme and host: the rest may hold a secret

	mu      sync.Mutex
	failing bool // and the log knows it
	told    time.Time
	lost    int64 // since the log was told a number
	total   int64
}

// done takes how the sending of n under ctx ended.
func (d *delivery) done(ctx context.Context, n int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	why := ""
	if err != nil {
		n, why = brief(ctx, n, err)
	}
	switch {
	case n > 0 && why != "":
		d.fail(n, why)
	case d.failing:
		d.log.Info("telemetry arrives again", "lost", d.lost)
		d.failing, d.lost = false, 0
	}
}

// overflow counts one that was not sent, since too many wait.
func (d *delivery) overflow() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail(1, "there are more than it takes")
}

func (d *delivery) fail(n int64, why string) {
	d.lost += n
	d.total += n
	if d.failing || time.Since(d.told) < troubleEvery {
		return
	}
	d.failing, d.told = true, time.Now()
	d.log.Warn("telemetry does not arrive", "error", why)
}

// end says what was lost and not yet told, with those that still wait.
func (d *delivery) end(waiting int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lost += waiting
	d.total += waiting
	if d.lost > 0 {
		d.log.Warn("telemetry never arrived", "lost", d.lost)
		d.lost = 0
	}
}

// losses is how many were lost in all.
func (d *delivery) losses() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.total
}

// brief says how many of n were not delivered and why, without the URL and without what the endpoint answered: both can hold the credentials that it was sent.
func brief(ctx context.Context, n int64, err error) (lost int64, why string) {
	var (
		op   *net.OpError
		cert *tls.CertificateVerificationError
		u    *url.Error
	)
	text := err.Error()
	refusal := regexp.MustCompile(`^[a-z :]*failed to send [a-z ]*to \S+: (\d{3})\b`).FindStringSubmatch(text)
	part := regexp.MustCompile(`OTLP partial success: (?s:.*) \((\d+) [a-z ]+ rejected\)$`).FindStringSubmatch(text)
	switch {
	case errors.Is(err, errRedirected):
		return n, errRedirected.Error()
	case errors.As(err, &op):
		return n, op.Error()
	case errors.As(err, &cert):
		return n, cert.Error()
	case refusal != nil:
		code, _ := strconv.Atoi(refusal[1]) // three digits
		return n, strings.TrimSpace("status " + refusal[1] + " " + http.StatusText(code))
	case part != nil:
		rejected, _ := strconv.ParseInt(part[1], 10, 64) // none: a remark
		return min(n, rejected), "it does not take all"
	case strings.Contains(text, "retry-able request failure: body"):
		return n, "it is overloaded or away (status 429, 502, 503 or 504)"
	case ctx.Err() != nil, errors.As(err, &u) && u.Timeout():
		return n, "no answer in time"
	default:
		return n, "no answer that can be read"
	}
}

// deliver resolves the base URL of a signal's endpoint, and returns where the signal goes.
func (a *App) deliver(signal, reference string) (to string, d *delivery, err error) {
	base, err := a.expander.Load().Expand(reference)
	if err != nil {
		return "", nil, err
	}
	u, err := url.Parse(base)
	if err != nil {
		return "", nil, errors.New("the address is no URL") // the reader of the file has said so before
	}
	if err := checkHeaders(signal); err != nil {
		return "", nil, err
	}
	d = &delivery{key: "telemetry." + signal + ".otlp", endpoint: u.Scheme + "://" + u.Host}
	d.log = a.log.With("key", d.key, "endpoint", d.endpoint)
	return export.SignalURL(base, signal), d, nil
}

// checkHeaders refuses variables for headers that OpenTelemetry would not understand: it would write their values to standard error and send nothing.
func checkHeaders(signal string) error {
	for _, name := range [...]string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_" + strings.ToUpper(signal) + "_HEADERS"} {
		list := os.Getenv(name) // of the process, as OpenTelemetry reads it
		if list == "" {
			continue
		}
		for pair := range strings.SplitSeq(list, ",") {
			key, value, found := strings.Cut(pair, "=")
			_, err := url.PathUnescape(value)
			if found && err == nil && httpguts.ValidHeaderFieldName(strings.TrimSpace(key)) {
				continue
			}
			return &catalog.Error{
				Code: catalog.Config, Msg: "telemetry: " + name + " is no list of headers, with commas between them and a % only before two hexadecimal digits",
				Hint: "export " + name + "=x-api-key=SECRET",
			}
		}
	}
	return nil
}

// straight is the proxy of the environment for requests to the endpoint itself, and an error for others, which are redirects.
func (d *delivery) straight(r *http.Request) (*url.URL, error) {
	if r.URL.Scheme+"://"+r.URL.Host != d.endpoint {
		return nil, errRedirected
	}
	return http.ProxyFromEnvironment(r)
}

// refused is the error of an exporter that cannot be made.
func refused(d *delivery, err error) error {
	return &catalog.Error{Code: catalog.Config, Msg: d.key + ": " + err.Error(), Hint: "look at the OTEL_EXPORTER_OTLP variables of the environment", Err: err}
}

// trace sends spans to an OTLP endpoint.
func (o *observation) trace(t record.Traces, a *App, options *record.Options) error {
	if t.OTLP == "" {
		return nil
	}
	to, d, err := a.deliver("traces", t.OTLP)
	if err != nil {
		return err
	}
	exporter, err := otlptracehttp.New(context.Background(), otlptracehttp.WithEndpointURL(to), otlptracehttp.WithProxy(d.straight)) // nothing is sent yet
	if err != nil {
		return refused(d, err)
	}
	waiting := new(atomic.Int64)
	batches := sdktrace.NewBatchSpanProcessor(spanExporter{exporter, d, waiting}, sdktrace.WithMaxQueueSize(spansWaiting))
	p := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spanQueue{batches, d, waiting}), sdktrace.WithResource(a.about()),
		sdktrace.WithSampler(sdktrace.AlwaysSample())) // the recorder asks for a span only where it is kept
	o.ends = append(o.ends, func(ctx context.Context) {
		_ = p.Shutdown(ctx) // what it could not send is counted
		d.end(waiting.Load())
	})
	options.Tracer, options.Sample, o.lostSpans = p.Tracer("weir"), t.Sample, d.losses
	return nil
}

// spanQueue lets in what the batches behind it have room for.
type spanQueue struct {
	sdktrace.SpanProcessor
	d       *delivery
	waiting *atomic.Int64
}

// OnEnd implements sdktrace.SpanProcessor.
func (q spanQueue) OnEnd(s sdktrace.ReadOnlySpan) {
	if q.waiting.Add(1) > spansWaiting {
		q.waiting.Add(-1)
		q.d.overflow()
		return
	}
	q.SpanProcessor.OnEnd(s)
}

// spanExporter tells its delivery how it went, and nobody else.
type spanExporter struct {
	sdktrace.SpanExporter
	d       *delivery
	waiting *atomic.Int64
}

// ExportSpans implements sdktrace.SpanExporter.
func (e spanExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	e.waiting.Add(-int64(len(spans)))
	e.d.done(ctx, int64(len(spans)), err)
	return nil
}

// reader sends metrics to an OTLP endpoint.
func (a *App) reader(m record.Metrics) (sdkmetric.Reader, *delivery, error) {
	to, d, err := a.deliver("metrics", m.OTLP)
	if err != nil {
		return nil, nil, err
	}
	exporter, err := otlpmetrichttp.New(context.Background(), otlpmetrichttp.WithEndpointURL(to), otlpmetrichttp.WithProxy(d.straight))
	if err != nil {
		return nil, nil, refused(d, err)
	}
	return sdkmetric.NewPeriodicReader(metricExporter{exporter, d}, sdkmetric.WithInterval(m.Interval)), d, nil
}

// metricExporter tells its delivery how it went, and nobody else. A report that is lost costs resolution alone: counts go on in the next one. One that the end
// of the gateway cuts off is not even that, since a last one follows.
type metricExporter struct {
	sdkmetric.Exporter
	d *delivery
}

// Export implements sdkmetric.Exporter.
func (e metricExporter) Export(ctx context.Context, m *metricdata.ResourceMetrics) error {
	if err := e.Exporter.Export(ctx, m); !errors.Is(ctx.Err(), context.Canceled) {
		e.d.done(ctx, 1, err)
	}
	return nil
}
