// Package app owns the wiring: it turns a configuration into a running gateway, in the order in which things depend on each other, keeps
// it up to date with the file, and takes it down again.
//
// It is where upstream and server meet, and depends on nearly everything; therefore only the commands import it.
//
// Decisions:
//
//   - Wiring is a list of constructor calls that reads top to bottom: no container, no registration, no globals. Taking down is the same list
//     backwards.
//   - A reload is a new File, handed to the same parts. What cannot change while running (listen, path, limits of the listener) is said and left.
//   - The folder of the file is watched and not the file: editors rename over it, Kubernetes swaps a symlink above it, and a watch on
//     the file would follow what was there before. What counts is whether its content differs.
//   - OpenTelemetry tells its errors to one handler for the process, which writes to standard error whatever an endpoint answered. So the exporters are wrapped
//     here and report to the log themselves: when it begins, when it is over, how much was lost, and no text of the endpoint.
//   - The commands that look and call use the same App and the same Gateway.Serve as clients do.
package app
