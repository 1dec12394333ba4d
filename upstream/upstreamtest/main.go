package upstreamtest

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// childArg is the first argument that makes a test binary a fake.
const childArg = "fakemcp-child"

// RunChild is called first in TestMain: in a process that [Stdio] started from the test's own binary it runs the fake and exits;
// otherwise it returns at once.
func RunChild() {
	if len(os.Args) > 1 && os.Args[1] == childArg {
		os.Args = append([]string{"fakemcp"}, os.Args[2:]...)
		Main()
	}
}

// Main is the program fakemcp: it serves over standard input and output, or with -http over HTTP until it is killed, and exits.
//
//	fakemcp [-ledger FILE] [-http [-addr ADDR] [-url FILE]] [CONFIG.json]
//
// FILE given to -ledger gets one JSON [Entry] a line; that given to -url gets the endpoint once it accepts.
func Main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "fakemcp:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run() error {
	fs := flag.NewFlagSet("fakemcp", flag.ContinueOnError)
	ledger := fs.String("ledger", "", "append entries to `FILE`")
	control := fs.String("control", "", "take commands from `ADDR`")
	overHTTP := fs.Bool("http", false, "serve over HTTP")
	addr := fs.String("addr", "127.0.0.1:0", "listen on `ADDR`")
	url := fs.String("url", "", "write the endpoint to `FILE`")
	if err := fs.Parse(os.Args[1:]); err != nil {
		return err
	}
	var cfg Config
	if fs.NArg() > 0 {
		b, err := os.ReadFile(fs.Arg(0))
		if err != nil {
			return err
		}
		if err := json.Unmarshal(b, &cfg); err != nil {
			return fmt.Errorf("%s: %w", fs.Arg(0), err)
		}
	}
	l := &Ledger{}
	if *ledger != "" {
		f, err := os.OpenFile(*ledger, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		l.out = f
	}
	e := newEngine(cfg, l)
	if *control != "" {
		go takeCommands(e, *control)
	}
	if *overHTTP {
		return runHTTP(e, *addr, *url)
	}
	return runStdio(e)
}

func runHTTP(e *engine, addr, urlFile string) error {
	s := newHTTPServer(e)
	s.addr = addr
	if err := s.accept(); err != nil {
		return err
	}
	e.crash = func() { os.Exit(3) }
	if urlFile != "" {
		// The rename makes the file appear whole.
		if err := os.WriteFile(urlFile+".part", []byte(s.url()), 0o600); err != nil {
			return err
		}
		if err := os.Rename(urlFile+".part", urlFile); err != nil {
			return err
		}
	}
	select {}
}

func (s *httpServer) url() string {
	if s.cfg.SSE {
		return "http://" + s.addr + "/sse"
	}
	return "http://" + s.addr + "/mcp"
}

func runStdio(e *engine) error {
	if e.cfg.IgnoreTERM {
		signal.Ignore(syscall.SIGTERM)
	}
	if e.cfg.Grandchild {
		cmd := exec.Command("sleep", "600")
		if err := cmd.Start(); err != nil {
			return err
		}
		fmt.Fprintln(os.Stderr, "grandchild", cmd.Process.Pid)
	}
	time.Sleep(time.Duration(e.cfg.Boot))
	for _, line := range e.cfg.Complaint {
		fmt.Fprintln(os.Stderr, string(line))
	}
	for _, line := range e.cfg.Greeting {
		fmt.Println(string(line))
	}
	p := newPipe(e, os.Stdout, os.Getpid(), os.Exit)
	err := p.serve(os.Stdin)
	if e.cfg.IgnoreEOF {
		select {}
	}
	return err
}

// command is what a test tells a child while it runs. The zero fields are not meant.
type command struct {
	Change *Content `json:"change,omitempty"`
	Script *[]Act   `json:"script,omitempty"`
	Notify Raw      `json:"notify,omitempty"`
	Update string   `json:"update,omitempty"` // a URI
	Forget bool     `json:"forget,omitempty"`
	Exit   bool     `json:"exit,omitempty"`
}

func (e *engine) obey(c command) {
	switch {
	case c.Change != nil:
		e.change(*c.Change)
	case c.Script != nil:
		e.setScript(*c.Script)
	case c.Notify != "":
		e.notify(c.Notify)
	case c.Update != "":
		e.updated(c.Update)
	case c.Forget:
		e.forget()
	case c.Exit:
		e.crash()
	}
}

// takeCommands obeys the test that listens at addr, and says so after each command.
func takeCommands(e *engine, addr string) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return // the test is over
	}
	in := bufio.NewReader(conn)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var c command
		if err := json.Unmarshal(line, &c); err != nil {
			fmt.Fprintln(os.Stderr, "fakemcp: command:", err)
			continue
		}
		e.obey(c)
		if _, err := conn.Write([]byte("ok\n")); errors.Is(err, net.ErrClosed) {
			return
		}
	}
}
