package audit

import (
	"context"
	"time"
)

// daily does work now and once a day until Stop, which cuts it short. What fails
// is logged and tried again the next day.
func (s *Service) daily(work func(context.Context) error) {
	s.days.Go(func() {
		ticker := time.NewTicker(24 * time.Hour)
		defer ticker.Stop()
		for {
			if err := work(s.running); err != nil && s.running.Err() == nil {
				s.deps.Telemetry.Log.Error("daily work failed; will try again tomorrow", "error", err)
			}
			select {
			case <-s.running.Done():
				return
			case <-ticker.C:
			}
		}
	})
}
