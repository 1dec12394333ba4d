package openapi

import (
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/catalog"
	"weir/catalog/rawjson"
	"weir/translate"
	"weir/translate/schema"
)

// BenchmarkLoad reads and translates a description: parse, tools, published schemas. cpu-ms is the time of all threads; live-MB what is kept.
func BenchmarkLoad(b *testing.B) {
	for _, prefix := range []string{"github", "stripe", "kubernetes-2", "okta"} {
		f := corpus(b, prefix)[0]
		b.Run(prefix, func(b *testing.B) {
			b.ReportAllocs()
			start := cpu(b)
			var kept []*tool
			for b.Loop() {
				d, err := open("", f.text, nil, nil)
				if err != nil {
					b.Fatal(err)
				}
				t := &builder{spec: &Spec{Server: "https://h.test"}, upstream: "api", configured: func(string) bool { return false }, description: d, converter: newConverter(d)}
				kept = t.build()
			}
			b.ReportMetric(float64((cpu(b)-start).Milliseconds())/float64(b.N), "cpu-ms/op")
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "live-MB")
			b.ReportMetric(float64(len(kept)), "tools")
		})
	}
}

// BenchmarkParse reads the text alone.
func BenchmarkParse(b *testing.B) {
	f := corpus(b, "github")[0]
	b.SetBytes(int64(len(f.text)))
	for b.Loop() {
		if _, err := schema.Parse(f.text); err != nil {
			b.Fatal(err)
		}
	}
}

// cpu is the time that this process has used.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// canned answers without a network, so that what is measured is the translation alone.
type canned struct{ body string }

func (c canned) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(c.body))}, nil
}

// callOf is a call of getThing, ready to be made, whose answer has the given body.
func callOf(t testing.TB, body string) (*API, *catalog.Call) {
	a := newAPI(t, small, Spec{Server: "https://h.test"}, translate.Options{Transport: canned{body}})
	m := new(rawjson.Message)
	if err := rawjson.Scan(m, []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"getThing","arguments":{"id":7,"page":2}}}`)); err != nil {
		t.Fatal(err)
	}
	return a, &catalog.Call{Method: "tools/call", Target: "getThing", Message: m, Client: &catalog.Client{}}
}

// largeAnswer has 50 kB.
func largeAnswer() string {
	const record = `{"id":12345678,"name":"a name of common length","url":"https://api.example.com/v1/things/12345678/parts","state":"open","created_at":"2026-01-02T03:04:05Z","score":1.5,"owner":{"login":"somebody","id":42}},`
	return `{"id":1,"items":[` + strings.Repeat(record, 250) + `{}]}`
}

// BenchmarkCall is one call without the network: check, build, shape.
func BenchmarkCall(b *testing.B) {
	for name, body := range map[string]string{"small": `{"id":1,"name":"n","tags":["a","b"]}`, "50kB": largeAnswer()} {
		b.Run(name, func(b *testing.B) {
			a, c := callOf(b, body)
			b.ReportAllocs()
			start := cpu(b)
			defer func() { b.ReportMetric(float64((cpu(b)-start).Microseconds())/float64(b.N), "cpu-µs/op") }()
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				answer, err := a.Call(b.Context(), c)
				if err != nil {
					b.Fatal(err)
				}
				answer.Release()
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}

// BenchmarkRequest is check and build alone.
func BenchmarkRequest(b *testing.B) {
	tr := translateText(b, corpusFile{name: "small", text: []byte(small)}, Spec{})
	x := tr.tools[0]
	for b.Loop() {
		args, refused := x.Input.Accept([]byte(`{"id":7,"page":2}`))
		if refused != nil {
			b.Fatal("refused")
		}
		if _, err := x.plan.outgoing(b.Context(), nil, args, ""); err != nil {
			b.Fatal(err)
		}
	}
}
