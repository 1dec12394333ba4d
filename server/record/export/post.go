package export

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	logs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"

	"weir/server/record/requestlog"
)

// errBadBatch says that a batch will never be taken.
var errBadBatch = errors.New("the batch was refused")

// post sends batches by HTTP, in a shape or as OTLP logs.
type post struct {
	url            string
	headers        map[string]string
	shape, version string
	otlp           bool
	client         *http.Client
}

func newPost(s *Spec, version string, config *tls.Config) *post {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true}
	p := &post{
		url: s.HTTP, headers: s.Headers, shape: s.Shape, version: version,
		client: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	if s.OTLP != "" {
		p.otlp, p.url = true, SignalURL(s.OTLP, "logs")
	}
	return p
}

// send implements sink.
func (p *post) send(ctx context.Context, id string, rows []requestlog.Row) error {
	body, kind, err := p.body(rows)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return errors.New("the address is no URL")
	}
	r.GetBody = nil // net/http must not send it again by itself
	r.Header.Set("Content-Type", kind)
	for k, v := range p.headers {
		r.Header.Set(k, v)
	}
	r.Header.Set("Idempotency-Key", id)
	answer, err := p.client.Do(r)
	if err != nil {
		return errors.Unwrap(err) // without the URL
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10))
	switch {
	case answer.StatusCode/100 == 2:
		return nil
	case answer.StatusCode == http.StatusBadRequest, answer.StatusCode == http.StatusRequestEntityTooLarge, answer.StatusCode == http.StatusUnprocessableEntity:
		return fmt.Errorf("%w: status %d", errBadBatch, answer.StatusCode)
	}
	return fmt.Errorf("status %d", answer.StatusCode)
}

// close implements sink.
func (p *post) close() { p.client.CloseIdleConnections() }

// body is a batch with its media type.
func (p *post) body(rows []requestlog.Row) (body []byte, kind string, err error) {
	if p.otlp {
		body, err = proto.Marshal(p.logs(rows))
		return body, "application/x-protobuf", err
	}
	for i := range rows {
		line, err := shaped(p.shape, p.version, &rows[i])
		if err != nil {
			return nil, "", err
		}
		body = append(append(body, line...), '\n')
	}
	if p.shape == "cef" {
		return body, "text/plain; charset=utf-8", nil
	}
	return body, "application/x-ndjson", nil
}

// logs are rows as OTLP log records; their attributes have the names that spans and metrics have.
func (p *post) logs(rows []requestlog.Row) *logs.ExportLogsServiceRequest {
	records := make([]*otlp.LogRecord, len(rows))
	for i := range rows {
		records[i] = logRecord(&rows[i])
	}
	return &logs.ExportLogsServiceRequest{ResourceLogs: []*otlp.ResourceLogs{{
		Resource:  &resource.Resource{Attributes: []*common.KeyValue{text("service.name", "weir"), text("service.version", p.version)}},
		ScopeLogs: []*otlp.ScopeLogs{{Scope: &common.InstrumentationScope{Name: "weir"}, LogRecords: records}},
	}}}
}
