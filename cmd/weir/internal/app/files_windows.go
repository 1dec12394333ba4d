package app

// fileLimit is 0: Windows has no such limit.
func fileLimit() int { return 0 }

// openFiles is zeros: there is nothing to compare with.
func openFiles() (used, most int) { return 0, 0 }
