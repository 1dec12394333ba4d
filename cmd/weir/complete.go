package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"

	"weir/catalog"
	"weir/cmd/weir/internal/app"
)

// completeWait bounds how long a completion waits for upstreams: whoever presses TAB waits too.
const completeWait = 3 * time.Second

// completeRefs completes the Refs of tools. Before the slash the names of upstreams do, which need no upstream to run.
func (c *cli) completeRefs(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	file, err := c.read(nil)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	if !strings.Contains(typed, "/") {
		var names []string
		for _, u := range file.MCPServers {
			if !u.Spec.Disabled && strings.HasPrefix(u.Name, typed) {
				names = append(names, u.Name+"/")
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	var refs []string
	c.peek(cmd.Context(), func(e *catalog.Entry) {
		if ref := e.Ref.String(); strings.HasPrefix(ref, typed) {
			about, _, _ := strings.Cut(gjson.GetBytes(e.Raw(catalog.Modern), "description").String(), "\n")
			refs = append(refs, ref+"\t"+about)
		}
	})
	return refs, cobra.ShellCompDirectiveNoFileComp
}

// completeCall completes a tool, and then its arguments.
func (c *cli) completeCall(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return c.completeRefs(cmd, args, typed)
	}
	var keys []string
	c.peek(cmd.Context(), func(e *catalog.Entry) {
		if args[0] != e.Ref.String() && args[0] != e.Name {
			return
		}
		gjson.GetBytes(e.Raw(catalog.Modern), "inputSchema.properties").ForEach(func(key, property gjson.Result) bool {
			if strings.HasPrefix(key.String(), typed) {
				keys = append(keys, key.String()+"=\t"+property.Get("description").String())
			}
			return true
		})
	})
	return keys, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// peek visits the visible tools of what is ready in time. Failures are silent: a completion has nowhere to say them.
func (c *cli) peek(ctx context.Context, visit func(*catalog.Entry)) {
	file, err := c.read(nil)
	if err != nil {
		return
	}
	_ = c.running(file, app.Env{Log: c.quiet(file)}, func(a *app.App) error {
		ctx, cancel := context.WithTimeout(ctx, completeWait)
		defer cancel()
		_ = a.Settled(ctx) // what is ready by then is what there is
		view := a.View()
		for _, e := range view.Snapshot().Entries() {
			if isTool(view, e) {
				visit(e)
			}
		}
		return nil
	})
}
