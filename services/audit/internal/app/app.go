// Package app holds the operations of service audit, one file each.
package app

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/directory"
)

// App serves the operations: events go into the stream, and come out of the
// database, which package ingest fills.
type App struct {
	DB        *database.DB
	Directory *directory.Directory
	JetStream jetstream.JetStream
	// Committed is told that events wait in the outbox.
	Committed func()
	// EraseCalls removes the records of a tenant's calls.
	EraseCalls func(ctx context.Context, tenant string) error
}
