// Package requestlog owns the request log: one row for each request, in SQLite or PostgreSQL, to be looked up, followed and counted.
//
// It stands beside the line: the record hands it every request that is over, weir log and the gateway's own tools read it.
//
// Decisions:
//
//   - It is for people who look for something, and it may lose rows when its database is away or too slow; it counts them and never makes a call wait.
//     What must not be lost is the audit log's.
//   - Rows are written in batches, in one transaction each.
//   - One text of SQL serves both databases. An ORM would be larger than the package.
//   - Rows hold no arguments unless the operator asks for them, and then redacted.
package requestlog
