// Package app holds the operations of service rbac, one file each.
package app

import (
	"log/slog"
	"sync/atomic"

	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/directory"
)

// App serves the operations: decisions from Engine, changes into DB.
type App struct {
	DB        *database.DB
	Directory *directory.Directory
	Engine    *decision.Engine
	// Core calls other services.
	Core *kit.Client
	Log  *slog.Logger
	// Committed is told that events wait in the outbox.
	Committed func()
	// Announce, if set, is told of each step of a policy once it is committed.
	Announce func(events.PolicyStep)
	// HeldUp, if set, reports whether Engine may be behind without knowing.
	HeldUp func() bool

	catalogue atomic.Pointer[[]string] // what is declared
}
