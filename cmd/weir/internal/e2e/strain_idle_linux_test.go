package e2e

import (
	"flag"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/upstream/upstreamtest"
)

var idle = flag.Duration("idle", 0, "how long TestR21_IdleStreams holds its streams; memory must be flat from 20m on, and is promised to be for 1h")

const (
	// idleMost is what a stream on which nothing happens may take, in bytes.
	idleMost = 50 << 10
	// idleSamples is how often the memory is looked at while the streams are held; at every fourth time lists have just changed.
	idleSamples = 240
	// idleJudged is from which length on it counts whether memory grows: without need the runtime collects garbage every two minutes, and before it
	// has done so all that is written grows the heap.
	idleJudged = 20 * time.Minute
)

// listeners are clients of a gateway that listen for changes, each on a connection of its own.
type listeners struct {
	up     *upstreamtest.Server
	g      *gateway
	conns  []net.Conn
	before int64 // memory of the gateway without them
	round  int   // of changes
}

// Ten thousand clients that listen and hear nothing take at most 50 KiB each, and nothing more when lists change for all of them again and again. With -idle they are
// held for so long, and what they take does not grow.
//
//	go test -run TestR21 -timeout 90m -v ./cmd/weir/internal/e2e -idle 1h
func TestR21_IdleStreams(t *testing.T) {
	l := &listeners{up: upstreamtest.New(t, upstreamtest.Config{Tools: []upstreamtest.Raw{`{"name":"echo","inputSchema":{"type":"object"}}`}})}
	l.g = strained(t, object{"mcpServers": object{"up": object{"url": l.up.URL}}}, `exec "$@"`)
	defer func() {
		for _, c := range l.conns {
			_ = c.Close()
		}
	}()
	var limit syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	n := min(10_000, int(limit.Cur/4*3)-500)
	l.listen(t, n)
	quiet := l.each(t)
	for range 5 {
		l.change(t)
	}
	told := l.each(t)
	t.Logf("%d streams, %d KiB each at rest, %d KiB each after five changes that all of them were told of", n, quiet>>10, told>>10)
	if max(quiet, told) > idleMost && !raceEnabled {
		t.Errorf("%d, then %d bytes for each stream", quiet, told)
	}
	if n < 5000 {
		t.Errorf("only %d streams: too few files may be open here", n)
	}
	if *idle > 0 {
		l.stay(t, *idle)
	}
}

// listen opens n streams.
func (l *listeners) listen(t *testing.T, n int) {
	t.Helper()
	l.before = l.g.memory(t, "VmRSS")
	body, err := modern.request(1, "subscriptions/listen", object{"notifications": object{"toolsListChanged": true}}, object{})
	must(t, err)
	request := "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nMcp-Protocol-Version: 2026-07-28\r\n" +
		"Mcp-Method: subscriptions/listen\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + string(body)
	for range n {
		c, err := net.Dial("tcp", l.g.addr())
		must(t, err)
		l.conns = append(l.conns, c)
		_, err = io.WriteString(c, request)
		must(t, err)
		hear(t, c, "acknowledged")
	}
}

// hear reads from a stream until that was said.
func hear(t *testing.T, c net.Conn, what string) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(60 * time.Second))
	text, b := "", make([]byte, 4<<10)
	for !strings.Contains(text, what) {
		k, err := c.Read(b)
		if text += string(b[:k]); err != nil {
			t.Fatalf("%v after %q", err, text)
		}
	}
}

// change changes the lists, and waits until all have heard of it.
func (l *listeners) change(t *testing.T) {
	t.Helper()
	l.round++
	l.up.Change(upstreamtest.Content{Tools: []upstreamtest.Raw{upstreamtest.Raw(fmt.Sprintf(`{"name":"echo","description":"%d","inputSchema":{"type":"object"}}`, l.round))}})
	for _, c := range l.conns {
		hear(t, c, "tools/list_changed")
	}
}

// each is what a stream takes, in bytes.
func (l *listeners) each(t *testing.T) int64 {
	t.Helper()
	return (l.g.memory(t, "VmRSS") - l.before) / int64(len(l.conns))
}

// stay holds the streams for so long, in which lists change now and then, keep-alives arrive, and a client beside them pings and calls a tool.
func (l *listeners) stay(t *testing.T, long time.Duration) {
	t.Helper()
	beside := dialHTTP(t, l.g.url, legacy)
	tick := time.NewTicker(long / idleSamples)
	defer tick.Stop()
	var took []int64
	for i := range idleSamples {
		<-tick.C
		if i%4 == 0 {
			l.change(t)
		}
		for method, params := range map[string]object{"ping": nil, "tools/call": {"name": "up__echo", "arguments": object{}}} {
			if events, err := beside.call(method, params); err != nil || events[0].Error != nil {
				t.Fatalf("after %d changes, %s: %+v %v", l.round, method, events, err)
			}
		}
		took = append(took, l.each(t))
	}
	quarters, err := level(took)
	t.Logf("%s, %d changes that all of them were told of: %d KiB each in each quarter, %d at most", long, l.round, quarters, slices.Max(took)>>10)
	if err != nil && long >= idleJudged {
		t.Error(err)
	}
	if most := slices.Max(took); most > idleMost && !raceEnabled {
		t.Errorf("%d bytes for each stream at most", most)
	}
}

// level wants that what was measured, in bytes and at even distances, does not grow: the last quarter is at most 1.05 times the first. The first tenth, in which it
// settles, does not count; a quarter is its median, since the collector comes and goes. The quarters are returned in KiB.
func level(took []int64) (quarters [4]int64, err error) {
	took = took[len(took)/10:]
	var median [4]int64
	for i := range median {
		part := slices.Sorted(slices.Values(took[i*len(took)/4 : (i+1)*len(took)/4]))
		median[i] = part[len(part)/2]
		quarters[i] = median[i] >> 10
	}
	if first, last := median[0], median[3]; last > first+first/20 {
		err = fmt.Errorf("it grew from %d to %d bytes", first, last)
	}
	return quarters, err
}

// What grows slowly and without end is told from what settles, and from what goes up and down with the collector.
func TestR21_GrowthIsSeen(t *testing.T) {
	series := func(f func(i int) int64) (s []int64) {
		for i := range int64(idleSamples) {
			s = append(s, f(int(i)))
		}
		return s
	}
	for name, of := range map[string]struct {
		took  []int64
		grows bool
	}{
		"flat":                 {series(func(int) int64 { return 40_000 }), false},
		"settles":              {series(func(i int) int64 { return 20_000 + 1000*int64(min(i, 20)) }), false},
		"saw tooth":            {series(func(i int) int64 { return 35_000 + 400*int64(i%20) }), false},
		"a peak":               {series(func(i int) int64 { return 40_000 + 40_000*int64(i/(idleSamples-1)) }), false},
		"grows":                {series(func(i int) int64 { return 40_000 + 15*int64(i) }), true},
		"saw tooth that grows": {series(func(i int) int64 { return 35_000 + 400*int64(i%20) + 20*int64(i) }), true},
	} {
		if _, err := level(of.took); (err != nil) != of.grows {
			t.Errorf("%s: %v", name, err)
		}
	}
}
