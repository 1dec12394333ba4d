package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// window is a tab of a real browser that has a profile of its own. The test does in it what its user would.
type window struct {
	t       *testing.T
	in      *os.File
	session string

	mu      sync.Mutex
	lastID  int
	waiting map[int]chan message
}

// newWindow starts Chromium, which is spoken to over a pipe in the DevTools protocol: JSON messages that end in NUL.
func newWindow(t *testing.T) *window {
	t.Helper()
	chromium := needChromium(t)
	hisIn, in, err := os.Pipe()
	must(t, err)
	out, hisOut, err := os.Pipe()
	must(t, err)
	cmd := exec.Command(chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-pipe",
		"--user-data-dir="+t.TempDir(), "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost")
	said := &output{}
	cmd.ExtraFiles, cmd.Stderr, cmd.WaitDelay = []*os.File{hisIn, hisOut}, said, 5*time.Second
	must(t, cmd.Start())
	_ = hisIn.Close() // the child's now
	_ = hisOut.Close()
	w := &window{t: t, in: in, waiting: map[int]chan message{}}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.read(out)
	}()
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		<-ended
		_ = out.Close()
		if t.Failed() {
			t.Logf("chromium says: %s", tail(said.String(), 1<<10))
		}
	})
	var target struct{ TargetID string }
	w.do("Target.createTarget", object{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	w.do("Target.attachToTarget", object{"targetId": target.TargetID, "flatten": true}, &attached)
	w.session = attached.SessionID
	return w
}

// read gives each answer to whom it is for, until the browser has ended.
func (w *window) read(out *os.File) {
	for r := bufio.NewReader(out); ; {
		b, err := r.ReadBytes(0)
		if err != nil {
			return
		}
		var m struct {
			ID int `json:"id"`
			message
		}
		if json.Unmarshal(b[:len(b)-1], &m) != nil || m.ID == 0 {
			continue // an event
		}
		w.mu.Lock()
		c := w.waiting[m.ID]
		delete(w.waiting, m.ID)
		w.mu.Unlock()
		if c != nil {
			c <- m.message
		}
	}
}

// do sends a command and reads its result.
func (w *window) do(method string, params object, result any) {
	w.t.Helper()
	answer := make(chan message, 1)
	w.mu.Lock()
	w.lastID++
	request := object{"id": w.lastID, "method": method, "params": params}
	w.waiting[w.lastID] = answer
	w.mu.Unlock()
	if w.session != "" {
		request["sessionId"] = w.session
	}
	b, err := json.Marshal(request)
	must(w.t, err)
	_, err = w.in.Write(append(b, 0))
	must(w.t, err)
	select {
	case m := <-answer:
		if m.Error != nil {
			w.t.Fatalf("%s: %s", method, m.Error)
		}
		must(w.t, json.Unmarshal(m.Result, result))
	case <-time.After(callTimeout):
		w.t.Fatalf("chromium does not answer %s", method)
	}
}

// visit opens a link.
func (w *window) visit(link string) {
	w.t.Helper()
	w.do("Page.navigate", object{"url": link}, &struct{}{})
}

// eval is the value of a script in the page, "" while there is none.
func (w *window) eval(script string) string {
	w.t.Helper()
	var got struct{ Result struct{ Value string } }
	w.do("Runtime.evaluate", object{"expression": script, "returnByValue": true}, &got)
	return got.Result.Value
}

// shows waits until the page has a text, and returns the address of the page.
func (w *window) shows(text string) string {
	w.t.Helper()
	var page string
	for deadline := time.Now().Add(callTimeout); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		page = w.eval(`document.readyState === "complete" ? location.href + "\n" + document.title + "\n" + document.body.innerText : ""`)
		if address, rest, _ := strings.Cut(page, "\n"); strings.Contains(rest, text) {
			return address
		}
	}
	w.t.Fatalf("the page does not come to say %q; it says:\n%s", text, page)
	return ""
}

// fill types a value into a field, and click presses a button.
func (w *window) fill(selector, value string) {
	w.t.Helper()
	w.eval(fmt.Sprintf(`document.querySelector(%q).value = %q`, selector, value))
}

func (w *window) click(selector string) {
	w.t.Helper()
	w.eval(fmt.Sprintf(`document.querySelector(%q).click(); ""`, selector))
}
