package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"weir/translate/grpc/grpctest"
	"weir/upstream/upstreamtest"
)

// group makes a control group that allows so much memory, and returns how a shell enters it; "" where that cannot be done.
func group(t *testing.T, bytes int64) (enter string) {
	t.Helper()
	for _, tree := range []struct{ root, limit string }{{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}, {"/sys/fs/cgroup", "memory.max"}} {
		dir := filepath.Join(tree.root, "weir-test-"+strconv.Itoa(os.Getpid()))
		if os.Mkdir(dir, 0o700) != nil {
			continue
		}
		t.Cleanup(func() {
			upstreamtest.Eventually(t, func() bool { return os.Remove(dir) == nil }, "the control group stays")
		})
		procs := filepath.Join(dir, "cgroup.procs")
		if _, err := os.Stat(filepath.Join(dir, tree.limit)); err != nil {
			continue // a hierarchy without a controller for memory
		}
		if os.WriteFile(filepath.Join(dir, tree.limit), strconv.AppendInt(nil, bytes, 10), 0o600) != nil {
			continue
		}
		return "echo $$ > " + procs + " && "
	}
	return ""
}

// large is a call that takes much memory: a request of 3 MiB, or an answer of four times that after a second.
type large struct {
	entry           object // of the upstream
	tool, arguments string
}

const (
	largeRequest = 3 << 20
	largeAnswer  = 4 * largeRequest
)

// With 256 MiB, 40 callers whose calls take 3 MiB there and twice that back do not get the process killed: those that are too many are answered with 503 and when to come back,
// and afterwards all is as before. Where a control group can be made, the kernel sees to the limit and weir learns of it by itself. Answers of APIs wait as
// those of MCP servers do.
func TestR33_LimitedMemory(t *testing.T) {
	const limit = 256 << 20
	up := upstreamtest.New(t, upstreamtest.Config{
		Tools:  []upstreamtest.Raw{`{"name":"echo","inputSchema":{"type":"object"}}`, `{"name":"large","inputSchema":{"type":"object"}}`},
		Script: []upstreamtest.Act{{On: "tools/call large", Pad: largeAnswer, Delay: upstreamtest.Duration(time.Second)}},
	})
	for name, of := range map[string]large{
		"large requests":           {object{"url": up.URL}, "echo", `{"text":"` + strings.Repeat("x", largeRequest) + `"}`},
		"large answers":            {object{"url": up.URL}, "large", `{}`},
		"large answers of REST":    largeREST(t),
		"large answers of GraphQL": largeGraphQL(t),
		"large answers of gRPC":    largeGRPC(t),
	} {
		t.Run(name, func(t *testing.T) {
			limitedMemory(t, object{"up": object{"url": up.URL}, "it": of.entry}, limit, "it__"+of.tool, of.arguments)
		})
	}
}

// largeREST is an API whose answers are long lists: the values in them take many times what the bytes do.
func largeREST(t *testing.T) large {
	t.Helper()
	row := `{"id":1,"name":"Rex","tags":["a","b"]},`
	list := "[" + strings.TrimSuffix(strings.Repeat(row, largeAnswer/len(row)/4), ",") + "]"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		answerLate(w, r, list)
	}))
	t.Cleanup(s.Close)
	path := filepath.Join(t.TempDir(), "api.json")
	must(t, os.WriteFile(path, []byte(`{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{"/a":{"get":{"operationId":"large",
		"responses":{"200":{"description":"d","content":{"application/json":{"schema":{"type":"array"}}}}}}}}}`), 0o600))
	return large{object{"openapi": path, "server": s.URL, "mode": "tools"}, "large", `{}`}
}

// answerLate writes an answer in parts, so that its length is not said before.
func answerLate(w http.ResponseWriter, r *http.Request, text string) {
	select {
	case <-time.After(time.Second):
	case <-r.Context().Done():
		return
	}
	for len(text) > 0 {
		n := min(len(text), 1<<20)
		if _, err := w.Write([]byte(text[:n])); err != nil {
			return // it is cancelled
		}
		text = text[n:]
	}
}

// largeGraphQL is an API whose answers hold one long text.
func largeGraphQL(t *testing.T) large {
	t.Helper()
	text := `{"data":{"echo":"` + strings.Repeat("x", largeAnswer) + `"}}`
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/graphql-response+json")
		answerLate(w, r, text)
	}))
	t.Cleanup(h.Close)
	schema, err := filepath.Abs(filepath.Join(root, "translate", "graphql", "graphqltest", "library.graphql"))
	must(t, err)
	return large{object{"graphql": h.URL, "schema": schema, "mode": "tools"}, "echo", `{"text":"a"}`}
}

// largeGRPC is a server whose replies hold one long text.
func largeGRPC(t *testing.T) large {
	t.Helper()
	reply, err := json.Marshal(object{"message": strings.Repeat("x", largeAnswer)})
	must(t, err)
	s := grpctest.Serve(t, grpctest.Setup{Reflect: "v1", Answer: func(ctx context.Context, _, _ string) (string, error) {
		select {
		case <-time.After(time.Second):
			return string(reply), nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}})
	return large{object{"grpc": "http://" + s.Address, "mode": "tools"}, "Greeter_Hello", `{"firstName":"Ann"}`}
}

func limitedMemory(t *testing.T, servers object, limit int64, tool, arguments string) {
	t.Helper()
	enter, env := group(t, limit), "WEIR_TEST=" // nothing; the limit is weir's to find
	if enter == "" {
		env = "GOMEMLIMIT=" + strconv.FormatInt(limit/10*9, 10)
		t.Log("no control group can be made here; GOMEMLIMIT stands for it")
	}
	g := strained(t, object{"mcpServers": servers, "drainTimeout": "5s"}, enter+`exec "$@"`, env)
	g.offers(t, 2)
	var ok, shed, late atomic.Int64
	ctx, stop := context.WithTimeout(t.Context(), 40*time.Second)
	defer stop()
	var callers sync.WaitGroup
	for range 40 {
		callers.Go(func() {
			c := &http.Client{Transport: &http.Transport{}}
			defer c.CloseIdleConnections()
			for ctx.Err() == nil && (ok.Load() < 30 || len(arguments) > 100 && shed.Load() < 100) {
				switch s, err := g.plainCall(ctx, c, tool, arguments); {
				case good(s, err):
					ok.Add(1)
				case err == nil && s.status == 503 && s.header.Get("Retry-After") != "" && strings.Contains(s.text, "-32014"):
					shed.Add(1)
					time.Sleep(20 * time.Millisecond) // a client that is far more eager than it was told to be
				case ctx.Err() == nil && errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
					shed.Add(1) // the 503 was sent while the body still came, and the connection was closed
				case err == nil && strings.Contains(s.text, "no memory left for "):
					late.Add(1)
				case !g.alive():
					return
				case ctx.Err() == nil:
					t.Errorf("%d %.200s %v", s.status, s.text, err)
				}
			}
		})
	}
	callers.Wait()
	if !g.alive() {
		t.Fatalf("weir ended: %v", g.cmd.ProcessState)
	}
	upstreamtest.Eventually(t, func() bool { return good(g.plainCall(t.Context(), fresh(), "up__echo", `{}`)) }, "small calls are refused afterwards")
	s, err := g.readiness(t, fresh())
	peak := g.memory(t, "VmHWM") - g.memory(t, "RssFile") // the program's own file is nobody's memory
	t.Logf("%d calls answered, %d refused, %d without memory for the answer; %d MiB at most, of %d", ok.Load(), shed.Load(), late.Load(), peak>>20, limit>>20)
	if ok.Load() == 0 || len(arguments) > 100 && shed.Load() == 0 || err != nil || s.status != 200 || !raceEnabled && peak > limit {
		t.Errorf("%d calls answered, %d refused, %d MiB; afterwards %+v %v", ok.Load(), shed.Load(), peak>>20, s, err)
	}
}
