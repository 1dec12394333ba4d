package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"weir/catalog"
)

// Sandbox bounds what a child, and everything it starts, can do to the machine. The zero value bounds nothing. Only Linux can do it.
type Sandbox struct {
	// Read are the files and folders that may be read and run, besides what every program needs (/usr, /lib, certificates and the like, and the
	// command itself). When Read or Write is given, nothing else can be opened.
	Read []string `yaml:"read"`
	// Write are the files and folders that may be read, run and changed.
	Write []string `yaml:"write"`
	// Connect are the TCP ports that may be connected to. An empty list allows none, and no UDP either.
	Connect []int `yaml:"connect"`
	// Listen are the TCP ports that may be listened on; an empty list allows none.
	Listen []int `yaml:"listen"`
	// Memory bounds the address space of each process, in bytes (RLIMIT_AS).
	Memory int64 `yaml:"memory"`
	// OpenFiles bounds the files that each process has open (RLIMIT_NOFILE).
	OpenFiles int `yaml:"openFiles"`
	// Processes bounds the processes and threads of the user whom weir runs as, all of them counted, not the child's alone (RLIMIT_NPROC).
	Processes int `yaml:"processes"`
	// CPU bounds the processor time of each process, in whole seconds (RLIMIT_CPU).
	CPU time.Duration `yaml:"cpu"`
	// FileSize bounds each file that is written, in bytes (RLIMIT_FSIZE).
	FileSize int64 `yaml:"fileSize"`
	// Optional starts the server without what this machine cannot bound. Otherwise it is not started.
	Optional bool `yaml:"optional"`
}

// On reports whether anything is bounded.
func (b *Sandbox) On() bool {
	return b.files() || b.network() || b.Memory > 0 || b.OpenFiles > 0 || b.Processes > 0 || b.CPU > 0 || b.FileSize > 0
}

func (b *Sandbox) files() bool   { return b.Read != nil || b.Write != nil }
func (b *Sandbox) network() bool { return b.Connect != nil || b.Listen != nil }

// resolved is b with its paths absolute. One that does not exist is an error: whoever wrote it expects something of it.
func (b *Sandbox) resolved(spec Spec) (Sandbox, error) {
	r := *b
	for key, list := range map[string]*[]string{"read": &r.Read, "write": &r.Write} {
		if *list == nil {
			continue
		}
		all := make([]string, 0, len(*list))
		for _, path := range *list {
			if rest, ok := strings.CutPrefix(path+"/", "~/"); ok {
				path = filepath.Join(homeOf(spec.Env), rest)
			}
			abs, err := filepath.Abs(path)
			if err == nil {
				_, err = os.Stat(abs)
			}
			if err != nil {
				return r, &catalog.Error{
					Code: catalog.Config, Msg: fmt.Sprintf("%s: sandbox.%s: %q: %s", spec.Name, key, path, reason(err)),
					Hint: "create it, or change sandbox under mcpServers." + spec.Name, Execution: catalog.NotExecuted, Err: err,
				}
			}
			all = append(all, abs)
		}
		*list = all
	}
	return r, nil
}

func optionalHint(name string) string {
	return "set sandbox.optional: true under mcpServers." + name + " to start it without"
}
