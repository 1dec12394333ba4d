package export

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"weir/server/record/requestlog"
)

// sink takes batches. It is used by one goroutine.
type sink interface {
	send(ctx context.Context, id string, rows []requestlog.Row) error
	close()
}

const (
	queued    = 8192
	batchSize = 500
	// pause gathers rows that come one by one.
	pause = 200 * time.Millisecond
	// patience bounds sending one batch.
	patience = 10 * time.Second
	// shortest and longest are the first and the last wait for a sink that is away.
	shortest, longest = 250 * time.Millisecond, 30 * time.Second
)

// Exporter sends rows to one place. It is safe for concurrent use.
type Exporter struct {
	name  string
	sink  sink
	spool *spool
	log   *slog.Logger
	queue chan requestlog.Row
	lost  atomic.Int64
	end   chan struct{}
	done  chan struct{}
	once  sync.Once
}

// New opens an exporter of a spec that was checked and whose references are resolved. Nothing is sent yet.
func New(s Spec, version string, log *slog.Logger) (*Exporter, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CA != "" {
		pem, err := os.ReadFile(s.CA)
		if err != nil {
			return nil, fmt.Errorf("export: ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("export: ca: %s holds no certificate", s.CA)
		}
	}
	waiting, err := openSpool(s.Spool, s.SpoolBytes)
	if err != nil {
		return nil, fmt.Errorf("export: spool: %w", err)
	}
	e := &Exporter{name: "http", spool: waiting, log: log, queue: make(chan requestlog.Row, queued), end: make(chan struct{}), done: make(chan struct{})}
	switch {
	case s.Syslog != "":
		e.name, e.sink = "syslog", newSyslog(&s, version, config)
	case s.OTLP != "":
		e.name, e.sink = "otlp", newPost(&s, version, config)
	default:
		e.sink = newPost(&s, version, config)
	}
	go e.run()
	return e, nil
}

// Put hands over a row. It never waits: a row that there is no room for is lost and counted. Arguments and results do not leave.
func (e *Exporter) Put(r requestlog.Row) {
	r.Arguments, r.Result = "", ""
	select {
	case e.queue <- r:
	default:
		e.lost.Add(1)
	}
}

// Lost is how many rows were lost since the exporter was opened.
func (e *Exporter) Lost() int64 { return e.lost.Load() }

// Close sends what waits, as long as the place takes it; the rest stays in the spool.
func (e *Exporter) Close() error {
	e.once.Do(func() { close(e.end) })
	<-e.done
	if n := e.Lost(); n > 0 {
		return fmt.Errorf("export: %s: %d messages were lost", e.name, n)
	}
	return nil
}

// run sends rows until the exporter is closed.
func (e *Exporter) run() {
	defer close(e.done)
	defer e.sink.close()
	wait := shortest
	retry := time.NewTimer(0) // what an earlier run left
	defer retry.Stop()
	for {
		select {
		case r := <-e.queue:
			waited := !e.spool.empty()
			e.keep(batch{e.gather(r)})
			if waited {
				continue // behind the others
			}
		case <-retry.C:
		case <-e.end:
			e.finish()
			return
		}
		if e.drain() {
			wait = shortest
			continue
		}
		retry.Reset(wait)
		wait = min(2*wait, longest)
	}
}

// gather returns r and what comes within a moment.
func (e *Exporter) gather(r requestlog.Row) []requestlog.Row {
	rows := []requestlog.Row{r}
	for timer := time.After(pause); len(rows) < batchSize; {
		select {
		case r := <-e.queue:
			rows = append(rows, r)
		case <-timer:
			return rows
		case <-e.end:
			return rows
		}
	}
	return rows
}

// keep puts a batch into the spool.
func (e *Exporter) keep(b batch) {
	lost, err := e.spool.push(b)
	if lost > 0 && e.lost.Add(int64(lost)) == int64(lost) {
		e.log.Error("messages to another system are lost: it is away and no room is left", "export", e.name, "error", err)
	}
}

// drain sends what waits, the oldest first, and reports whether all of it went.
func (e *Exporter) drain() bool {
	for {
		b, ok := e.spool.first()
		if !ok {
			return true
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err := e.sink.send(ctx, b.id(), b.rows)
		cancel()
		switch {
		case errors.Is(err, errBadBatch):
			e.lost.Add(int64(len(b.rows)))
			e.log.Error("messages to another system are lost", "export", e.name, "error", err)
		case err != nil:
			e.log.Warn("another system takes no messages; they wait", "export", e.name, "error", err)
			return false
		}
		e.spool.drop()
	}
}

// finish is the last try. What has no folder to wait in is lost.
func (e *Exporter) finish() {
	for len(e.queue) > 0 {
		var rows []requestlog.Row
		for len(e.queue) > 0 && len(rows) < batchSize {
			rows = append(rows, <-e.queue)
		}
		e.keep(batch{rows})
	}
	if e.drain() || e.spool.dir != "" {
		return
	}
	for _, b := range e.spool.memory {
		e.lost.Add(int64(len(b.rows)))
	}
}
