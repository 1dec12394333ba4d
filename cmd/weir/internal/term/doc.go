// Package term owns what people and scripts see of the command line: tables, colour, JSON, the log on standard error, error reports and
// exit codes.
//
// Only the commands use it. Standard output carries what was asked for and nothing else; everything else goes to standard error.
//
// Decisions:
//
//   - Plain aligned ASCII with the meaning in words; colour only adds. It is off for NO_COLOR, TERM=dumb, and what is not a terminal.
//   - With --json a listing is one indented document that only grows, and an error is one line on standard error.
//   - Exit codes come from the codes of catalog.Error in one table, never from the text of an error.
package term
