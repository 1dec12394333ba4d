package main

import (
	"errors"
	"os"
	"path/filepath"

	"weir/cmd/weir/internal/config"
)

// lookAround is bare weir: it says what is here and what to type next.
func (c *cli) lookAround() error {
	path, err := config.Find(c.config, c.env)
	switch {
	case err == nil:
		return c.found(path)
	case !errors.Is(err, config.ErrNone):
		return err
	}
	c.Printf("weir joins MCP servers into one endpoint. There is no weir.yaml here.\n\n")
	if files := c.clientFiles(); len(files) > 0 {
		c.Printf("Servers you have in other clients work as they are:\n")
		for _, f := range files {
			c.Printf("  weir ls %s\n", f)
		}
		c.Printf("\n")
	}
	c.Printf("To write a configuration:  weir help config\nAll commands:              weir --help\n")
	return nil
}

// found says what a configuration holds.
func (c *cli) found(path string) error {
	file, err := config.Read(path, c.env)
	if err != nil {
		return err
	}
	c.Printf("%s: %s\n\n", file.Name, count(len(file.MCPServers), "upstream"))
	c.Printf("  weir ls        are they well?\n  weir tools     what they offer\n  weir serve     run the gateway on http://%s%s\n"+
		"  weir stdio     run it for one client\n", file.Server.Listen, file.Server.Path)
	return nil
}

// clientFiles lists the configurations of MCP clients, here and in the home directory, that weir can run.
func (c *cli) clientFiles() []string {
	var found []string
	for _, path := range []string{
		filepath.Join(c.env.Dir, ".mcp.json"), filepath.Join(c.env.Dir, ".cursor", "mcp.json"), filepath.Join(c.env.Dir, ".vscode", "mcp.json"),
		filepath.Join(c.env.Home, ".claude.json"), filepath.Join(c.env.Home, ".cursor", "mcp.json"),
	} {
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			continue
		}
		if f, err := config.Read(path, c.env); err == nil && len(f.MCPServers) == 0 {
			continue
		}
		if rel, err := filepath.Rel(c.env.Dir, path); err == nil && filepath.IsLocal(rel) {
			path = rel
		}
		found = append(found, path)
	}
	return found
}
