package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"

	"weir/upstream/upstreamtest"
)

// A burst is ten callers at once with 200 calls each; each call is preceded by some progress and, where it can be told apart, log messages.
const (
	burstCallers = 10
	burstCalls   = 200
	burstSteps   = 5
)

// burstUpstream is a server that sends burstSteps progress notifications and, if logs is set, as many log messages before each result.
func burstUpstream(t *testing.T, kind string, logs bool) object {
	t.Helper()
	act := upstreamtest.Act{On: "echo", Progress: burstSteps}
	if logs {
		act.Logs = burstSteps
	}
	cfg := upstreamtest.Config{Script: []upstreamtest.Act{act}}
	switch kind {
	case "modern http":
		cfg.Era = upstreamtest.Modern
	case "legacy http":
		cfg.Era = upstreamtest.Legacy
	case "stdio":
		s := upstreamtest.Stdio(t, cfg)
		return object{"command": s.Command, "args": s.Args}
	}
	return object{"url": upstreamtest.New(t, cfg).URL}
}

// No notification of a call is lost, comes after its result or out of order, whatever is in front of weir and behind it. Log messages
// of concurrent calls over one pipe belong to no call by themselves, so they are counted over HTTP upstreams only.
func TestBurstKeepsEveryNotification(t *testing.T) {
	for _, behind := range []string{"modern http", "legacy http", "stdio"} {
		for _, front := range []struct {
			name string
			dial func(*testing.T, object) peer
		}{
			{"modern http", func(t *testing.T, config object) peer { return burstHTTP(t, config, modern) }},
			{"legacy http", func(t *testing.T, config object) peer { return burstHTTP(t, config, legacy) }},
			{"modern stdio", func(t *testing.T, config object) peer { return burstStdio(t, config, modern) }},
			{"legacy stdio", func(t *testing.T, config object) peer { return burstStdio(t, config, legacy) }},
		} {
			t.Run(front.name+" client, "+behind+" upstream", func(t *testing.T) {
				logs := behind != "stdio" && front.name != "legacy stdio" && front.name != "modern stdio"
				p := front.dial(t, object{"naming": "bare", "mcpServers": object{"fake": burstUpstream(t, behind, logs)}})
				if logs {
					wantLogs(t, p)
				}
				burst(t, p, logs)
				if s, ok := p.(*stdioPeer); ok {
					noStrayProgress(t, s)
				}
			})
		}
	}
}

func burstHTTP(t *testing.T, config object, e era) peer {
	t.Helper()
	g := serve(t, config)
	g.offers(t, 1)
	return dialHTTP(t, g.url, e)
}

func burstStdio(t *testing.T, config object, e era) peer {
	t.Helper()
	p := dialStdio(t, config, e)
	upstreamtest.Eventually(t, func() bool {
		names, err := toolNames(p)
		return err == nil && len(names) == 1
	}, "the tool is not listed")
	return p
}

// wantLogs makes a legacy peer ask for log messages; a modern one asks with each call.
func wantLogs(t *testing.T, p peer) {
	t.Helper()
	if h, ok := p.(*httpPeer); ok && h.era == legacy {
		_, err := p.call("logging/setLevel", object{"level": "info"})
		must(t, err)
	}
}

// burst makes all calls and judges each; it reports the first ten faults.
func burst(t *testing.T, p peer, logs bool) {
	t.Helper()
	faults := make(chan error, burstCallers*burstCalls)
	var callers sync.WaitGroup
	for caller := range burstCallers {
		callers.Go(func() {
			for call := range burstCalls {
				token := fmt.Sprintf("%d/%d", caller, call)
				meta := object{"progressToken": token}
				if h, ok := p.(*httpPeer); logs && ok && h.era == modern {
					meta["io.modelcontextprotocol/logLevel"] = "info"
				}
				events, err := p.call("tools/call", object{"name": "echo", "arguments": object{"call": token}, "_meta": meta})
				if err == nil {
					err = judge(events, token, logs)
				}
				if err != nil {
					faults <- fmt.Errorf("call %s: %w", token, err)
				}
			}
		})
	}
	callers.Wait()
	close(faults)
	n := 0
	for err := range faults {
		if n++; n <= 10 {
			t.Error(err)
		}
	}
	if n > 10 {
		t.Errorf("and %d calls more", n-10)
	}
}

// judge checks that the events of a call are its progress 1…n and its log messages 1…n, each in order, and then its result, and no more.
func judge(events []message, token string, logs bool) error {
	var progress, logged int
	for i, m := range events {
		var params struct {
			ProgressToken string
			Progress      int
			Data          struct{ N int }
		}
		if m.Method != "" {
			if err := json.Unmarshal(m.Params, &params); err != nil {
				return fmt.Errorf("%s: %w", m.Method, err)
			}
		}
		switch {
		case m.Method == "notifications/progress":
			progress++
			if params.ProgressToken != token || params.Progress != progress {
				return fmt.Errorf("progress %d of %q where %d was due", params.Progress, params.ProgressToken, progress)
			}
		case m.Method == "notifications/message":
			logged++
			if params.Data.N != logged {
				return fmt.Errorf("log message %d where %d was due", params.Data.N, logged)
			}
		case m.Method != "":
			return fmt.Errorf("an unexpected %s", m.Method)
		case i != len(events)-1:
			return fmt.Errorf("%d messages after the result", len(events)-1-i)
		}
	}
	var result struct {
		StructuredContent struct{ Call string }
	}
	last := events[len(events)-1]
	if err := json.Unmarshal(last.Result, &result); err != nil {
		return fmt.Errorf("the result: %w (%s)", err, last.Error)
	}
	switch {
	case result.StructuredContent.Call != token:
		return fmt.Errorf("the result of call %q", result.StructuredContent.Call)
	case progress != burstSteps:
		return fmt.Errorf("%d of %d progress notifications", progress, burstSteps)
	case logs && logged != burstSteps:
		return fmt.Errorf("%d of %d log messages", logged, burstSteps)
	}
	return nil
}

// noStrayProgress demands that no progress came for a call that was over.
func noStrayProgress(t *testing.T, p *stdioPeer) {
	t.Helper()
	for _, m := range p.strays() {
		if m.Method == "notifications/progress" {
			t.Errorf("after the result: %s", m.Params)
			return
		}
	}
}

func TestJudge(t *testing.T) {
	step := func(n int) message {
		return message{Method: "notifications/progress", Params: fmt.Appendf(nil, `{"progressToken":"x","progress":%d}`, n)}
	}
	result := message{Result: json.RawMessage(`{"structuredContent":{"call":"x"}}`)}
	whole := []message{step(1), step(2), step(3), step(4), step(5), result}
	if err := judge(whole, "x", false); err != nil {
		t.Errorf("a whole call: %v", err)
	}
	for name, events := range map[string][]message{
		"lost":             {step(1), step(2), step(3), step(4), result},
		"lost in between":  {step(1), step(2), step(4), step(5), result},
		"after the result": {step(1), step(2), step(3), step(4), result, step(5)},
		"out of order":     {step(2), step(1), step(3), step(4), step(5), result},
		"twice":            {step(1), step(1), step(2), step(3), step(4), step(5), result},
		"of another call":  {step(1), step(2), step(3), step(4), step(5), {Result: json.RawMessage(`{"structuredContent":{"call":"y"}}`)}},
	} {
		if judge(events, "x", false) == nil {
			t.Errorf("%s: not found", name)
		}
	}
	if err := judge(whole, "x", true); err == nil || errors.Unwrap(err) != nil {
		t.Errorf("without its log messages: %v", err)
	}
}
