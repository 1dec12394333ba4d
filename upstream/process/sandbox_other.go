//go:build !linux

package process

import (
	"os/exec"
	"runtime"

	"weir/catalog"
)

// sandboxVar is not used here; nothing sets it.
const sandboxVar = "WEIR_SANDBOX"

// Lacks says which bound this machine cannot set, "" when it can set all.
func (b Sandbox) Lacks() string {
	if !b.On() {
		return ""
	}
	return "a sandbox needs Linux, and this is " + runtime.GOOS
}

// confine refuses what cannot be bounded here.
func confine(_ *exec.Cmd, spec Spec) error {
	if lack := spec.Sandbox.Lacks(); lack != "" && !spec.Sandbox.Optional {
		return &catalog.Error{Code: catalog.Config, Msg: spec.Name + ": sandbox: " + lack, Hint: optionalHint(spec.Name), Execution: catalog.NotExecuted}
	}
	return nil
}

// enterSandbox has nothing to do here.
func enterSandbox() {}
