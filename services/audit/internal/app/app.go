// Package app holds the operations of service audit, one file each.
package app

import (
	"context"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/directory"
)

// App serves the operations: events go into the stream, and come out of the
// database, which package ingest fills.
type App struct {
	DB        *database.DB
	Directory *directory.Directory
	// Ingress publishes into stream AUDIT, for many callers at once.
	Ingress *events.Group
	// Committed is told that events wait in the outbox.
	Committed func()
	// EraseCalls removes the records of a tenant's calls.
	EraseCalls func(ctx context.Context, tenant string) error
	// EraseWebhooks removes a tenant's webhooks, and what was sent of its events.
	EraseWebhooks func(ctx context.Context, tenant string) error
}

// Publish returns once stream AUDIT has the event on disk. The same id is the
// same event.
func (a *App) Publish(ctx context.Context, e events.Event, id string) error {
	_, err := a.Ingress.Publish(ctx, e, id)
	return err
}
