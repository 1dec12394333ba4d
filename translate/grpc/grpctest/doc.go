// Package grpctest owns a grpc-go server for tests: it answers the services of proto/ with messages that are made at run time, describes itself by
// reflection or not at all, and keeps a ledger of what reached it.
package grpctest
