package app

import (
	"context"
	"sync"
	"time"
)

// chores are what is done after an answer was given: bounded, and finished
// before the service stops.
type chores struct {
	once   sync.Once
	places chan struct{}
	work   sync.WaitGroup
}

const (
	maxChores = 64
	choreTime = 30 * time.Second
)

// background does work after the answer, with the context's caller but not its
// end. It reports whether there is room; an error is logged.
func (a *App) background(ctx context.Context, work func(context.Context) error) bool {
	a.chores.once.Do(func() { a.chores.places = make(chan struct{}, maxChores) })
	select {
	case a.chores.places <- struct{}{}:
	default:
		return false
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), choreTime)
	a.chores.work.Go(func() {
		defer func() { cancel(); <-a.chores.places }()
		if err := work(ctx); err != nil {
			a.Log.ErrorContext(ctx, "work after an answer failed", "error", err)
		}
	})
	return true
}

// Finish waits for what is done after answers.
func (a *App) Finish() { a.chores.work.Wait() }
