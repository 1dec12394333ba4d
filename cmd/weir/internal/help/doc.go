// Package help owns the help topics: Markdown pages embedded in the program and shown by weir help TOPIC.
//
// Decisions:
//
//   - Markdown is printed as it is written: it reads well on a terminal and serves as the pages of a site.
//   - Every error code has a page of its name, so that an error can always say where to read on. Tests hold that each page exists, that its
//     configurations are valid and its commands run.
package help
