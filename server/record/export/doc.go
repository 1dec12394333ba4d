// Package export owns what leaves the record for other systems: one message for each request that is over, to syslog, to an HTTP endpoint or to
// an OTLP endpoint.
//
// It stands beside the line. The wiring hands it the rows that the request log gets too; nobody waits for it.
//
// Decisions:
//
//   - Messages are batched and sent in order. With a spool each batch is a file in a folder until the place took it, so what it holds outlives a
//     restart, a crash too; one gateway has a folder. Without one batches wait in memory. Both are bounded; what found no room is counted and said in
//     the log.
//   - Every message has the request's id, and a batch that is sent again is the same batch. A sink that answered and was not heard gets a message
//     twice and can tell by the id; nothing better can be had without a transaction.
//   - Syslog over TCP has no answers (RFC 6587, RFC 5425): what was written when the receiver died may be lost, whatever weir does. A connection that
//     the receiver closed is noticed before the next batch. UDP promises nothing. Who must not lose anything takes HTTP or OTLP.
//   - An answer that says the batch itself is bad (400, 413, 422) drops the batch, since sending it again would stop all others behind it.
//   - Writing RFC 5424 takes thirty lines; the libraries for it are parsers, or do not frame by octets. A parser that is not ours reads it in tests.
//   - OTLP logs are written with the protocol's own message types: the SDK's log pipeline has a queue of its own, which cannot spool.
//   - There are no arguments in a message: what leaves for another system is not the operator's alone any more.
package export
