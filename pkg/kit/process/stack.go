package process

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Stack holds what has been started, to be stopped in reverse.
type Stack struct {
	stops []stop
}

type stop struct {
	name string
	run  func(context.Context) error
}

// Push adds what must be stopped before everything pushed so far.
func (s *Stack) Push(name string, run func(context.Context) error) {
	s.stops = append(s.stops, stop{name, run})
}

// Close stops everything, last in first out, under one deadline, and tells
// all that went wrong. It leaves the Stack empty.
func (s *Stack) Close(timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var failed error
	for len(s.stops) > 0 {
		last := s.stops[len(s.stops)-1]
		s.stops = s.stops[:len(s.stops)-1]
		if err := last.run(ctx); err != nil {
			failed = errors.Join(failed, fmt.Errorf("stopping %s: %w", last.name, err))
		}
	}
	return failed
}
