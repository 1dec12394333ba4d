// Package requestlog owns the request log: one row for each request, in SQLite or PostgreSQL, to be looked up, followed and counted.
//
// It stands beside the line: the record hands it every request that is over, weir log and the gateway's own tools read it.
//
// Decisions:
//
//   - It is for people who look for something, and it may lose rows when its database is away or too slow; it counts them and never makes a call wait.
//     What must not be lost is the audit log's.
//   - Rows are JSON, and up to 1,024 of them are one row of the database: a JSON array with the times of its first and last. A row of the database for
//     each request costs the gateway five to ten times as much. Counting a million takes about a second either way. What looks for a name, a caller or
//     a trace skips the arrays in which it does not stand.
//   - Rows that come slowly are written as they come, and again with others when they are many or an hour old; so nothing waits in memory, no row is written more than
//     twice, and a row outlives its time by an hour at most.
//   - One text of SQL serves both databases. Who asks in SQL finds the requests in the view request_log.
//   - Rows hold no arguments unless the operator asks for them, and then redacted.
package requestlog
