package config

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"sync"
	"time"
)

const (
	// commandTimeout bounds how long the program of ${command:…} may take. A person may have to unlock what it asks.
	commandTimeout = 30 * time.Second
	// commandKept is how long its answer is kept: many connections may be made in that time, and a secret that was rotated is not missed for long.
	commandKept = time.Minute
	// commandGrace is how long a program may hold its pipes open after it was killed.
	commandGrace = time.Second
)

// commands keeps what the programs of ${command:…} answered. The zero value is ready.
type commands struct {
	mu  sync.Mutex
	had map[string]*reply
}

// reply is the answer of one program. Its lock is held while the program runs, so that one runs at a time.
type reply struct {
	mu   sync.Mutex
	text string
	at   time.Time // zero for none
}

// command runs the program of ${command:PROGRAM ARGUMENT…}, without a shell, in the folder of the configuration, and gives its first output without the
// last line break. What the program writes, on either stream, is told to nobody else.
func (e *Expander) command(line string) (string, error) {
	argv, err := commandWords(line)
	if err != nil {
		return "", err
	}
	e.commands.mu.Lock()
	if e.commands.had == nil {
		e.commands.had = map[string]*reply{}
	}
	r := e.commands.had[line]
	if r == nil {
		r = &reply{}
		e.commands.had[line] = r
	}
	e.commands.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.at.IsZero() && time.Since(r.at) < commandKept {
		return r.text, nil
	}
	text, err := run(argv, e.dir)
	if err != nil {
		return "", faultf("${command:%s …}: %w", argv[0], err)
	}
	r.text, r.at = text, time.Now()
	return text, nil
}

// commandFault says what is wrong with a reference to a program, which is not run for that.
func commandFault(line string) error {
	argv, err := commandWords(line)
	if err != nil {
		return err
	}
	if _, err := exec.LookPath(argv[0]); err != nil && !strings.Contains(argv[0], "/") {
		return faultf("${command:%s …}: no such program in PATH", argv[0])
	}
	return nil
}

// run starts a program and reads what it says.
func run(argv []string, dir string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	out := &bounded{}
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.Dir, c.Stdout, c.WaitDelay = dir, out, commandGrace
	err := c.Run()
	var left *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return "", errors.New("the program gave no answer in time")
	case out.over:
		return "", errors.New("the program says too much")
	case errors.As(err, &left):
		return "", errors.New("the program failed: " + left.String()) // its exit status; what it wrote may hold secrets
	case err != nil:
		return "", errors.New("the program cannot be started")
	}
	return strings.TrimSuffix(strings.TrimSuffix(out.kept.String(), "\n"), "\r"), nil
}

// bounded keeps no more than a secret's length. It is no bytes.Buffer, whose ReadFrom would take everything.
type bounded struct {
	kept bytes.Buffer
	over bool
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if b.kept.Len()+len(p) > maxSecret {
		b.over = true
		return 0, errors.New("too much")
	}
	return b.kept.Write(p)
}

// commandWords cuts a line at blanks; quotes, of either kind, hold words together.
func commandWords(line string) ([]string, error) {
	var (
		words []string
		word  strings.Builder
		quote rune
		open  bool
	)
	for _, c := range line {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '"' || c == '\'':
			quote, open = c, true
		case c == ' ' || c == '\t':
			if open {
				words = append(words, word.String())
			}
			word.Reset()
			open = false
		default:
			word.WriteRune(c)
			open = true
		}
	}
	if open {
		words = append(words, word.String())
	}
	if quote != 0 || len(words) == 0 || words[0] == "" {
		return nil, faultf("${command:…} names no program, or has a quote that does not end")
	}
	return words, nil
}
