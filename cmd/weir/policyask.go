package main

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"weir/cmd/weir/internal/term"
	"weir/policy"
)

// asking is who asks, and from where, as the flags of a command say. The words are those of a policy's own tests.
type asking struct {
	with       []string
	tenant     string
	attributes string
	at, from   string
}

// callerFlags adds those about the caller.
func (q *asking) callerFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&q.with, "with", nil, "a further `SUBJECT` of the same caller, such as group:eng; may be repeated")
	f.StringVar(&q.tenant, "tenant", "", "the caller is in tenant `NAME`")
	f.StringVar(&q.attributes, "attributes", "", "the caller's attributes as a JSON `OBJECT`")
	for _, name := range []string{"with", "tenant", "attributes"} {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
}

// requestFlags adds those about the request.
func (q *asking) requestFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&q.at, "at", "", "the request comes at `TIME`, such as 2026-07-28T09:30:00Z")
	cmd.Flags().StringVar(&q.from, "from", "", "the request comes from `ADDRESS`")
	for _, name := range []string{"at", "from"} {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions))
	}
}

// principal is the caller, as p knows it.
func (q *asking) principal(p *policy.Policy, who string) (policy.Principal, error) {
	caller, err := p.Suppose(append([]string{who}, q.with...), q.tenant, []byte(q.attributes))
	if err != nil {
		return caller, usagef("", "weir: %q is no caller: %v", who, err)
	}
	return caller, nil
}

// request is one of that caller; nil when nothing is said about it.
func (q *asking) request(caller policy.Principal, arguments []byte) (r *policy.Request, err error) {
	if q.at == "" && q.from == "" && arguments == nil {
		return nil, nil //nolint:nilnil // no request is what the policy is asked about then
	}
	r = &policy.Request{Principal: caller, Arguments: arguments}
	if q.at != "" {
		if r.Time, err = time.Parse(time.RFC3339, q.at); err != nil {
			return nil, usagef("", "weir: --at: %q is not a time such as 2026-07-28T09:30:00Z", q.at)
		}
	}
	if q.from != "" {
		if r.Address, err = netip.ParseAddr(q.from); err != nil {
			return nil, usagef("", "weir: --from: %q is not an address", q.from)
		}
	}
	return r, nil
}

// usagef makes an error of a command line that makes no sense; hint is one thing to type, "" for none.
func usagef(hint, format string, args ...any) error {
	return &term.UsageError{Msg: fmt.Sprintf(format, args...), Hint: hint}
}

// openInput opens a file named on the command line, or standard input for -. done closes it.
func (c *cli) openInput(path string) (r io.Reader, done func(), err error) {
	if path == "-" {
		return c.In, func() {}, nil
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(c.env.Dir, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	return f, func() { _ = f.Close() }, nil
}

// completeUpstreams completes the name of an upstream.
func (c *cli) completeUpstreams(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	file, err := c.read(nil)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, u := range file.MCPServers {
		names = append(names, u.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeSubjects completes whom the policy speaks about.
func (c *cli) completeSubjects(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	rules, err := c.untested(nil)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return rules.Policy.Subjects(), cobra.ShellCompDirectiveNoFileComp
}
