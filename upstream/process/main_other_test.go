//go:build unix && !linux

package process

func runTries()  {}
func oldKernel() {}
