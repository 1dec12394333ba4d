package catalog

// logLevels are the severities of RFC 5424 as MCP names them, least severe first (spec, server/utilities/logging).
func logLevels() [8]string {
	return [...]string{"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}
}

// LogLevel returns the rank of a severity: 1 for debug to 8 for emergency, 0 for a word that is none.
func LogLevel(name string) int {
	for i, l := range logLevels() {
		if l == name {
			return i + 1
		}
	}
	return 0
}

// ValidLogLevel reports whether name is a severity.
func ValidLogLevel(name string) bool { return LogLevel(name) > 0 }
