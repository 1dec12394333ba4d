package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"
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
	for _, tool := range c.peek(cmd.Context()) {
		if strings.HasPrefix(tool.Ref, typed) {
			about, _, _ := strings.Cut(tool.Description, "\n")
			refs = append(refs, tool.Ref+"\t"+about)
		}
	}
	return refs, cobra.ShellCompDirectiveNoFileComp
}

// completeCall completes a tool, and then its arguments.
func (c *cli) completeCall(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return c.completeRefs(cmd, args, typed)
	}
	var keys []string
	for _, tool := range c.peek(cmd.Context()) {
		if args[0] != tool.Ref && args[0] != tool.Name {
			continue
		}
		gjson.GetBytes(tool.InputSchema, "properties").ForEach(func(key, property gjson.Result) bool {
			if strings.HasPrefix(key.String(), typed) {
				keys = append(keys, key.String()+"=\t"+property.Get("description").String())
			}
			return true
		})
	}
	return keys, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// peek returns the visible tools of what is ready in time. Failures are silent: a completion has nowhere to say them.
func (c *cli) peek(ctx context.Context) []toolRow {
	file, err := c.read(nil)
	if err != nil {
		return nil
	}
	y, err := c.errandTo(ctx, file, false, &errand{Tools: &toolsErrand{patient: patient{Wait: completeWait}}})
	if err != nil {
		return nil
	}
	return y.Tools.Tools
}
