package natsserver

import (
	"fmt"
	"log/slog"
)

// logger hands the server's log to slog. The server calls Fatalf and returns
// where it would otherwise end the process; failed tells so.
type logger struct {
	log    *slog.Logger
	failed chan error
}

func newLogger(log *slog.Logger) *logger {
	return &logger{log: log, failed: make(chan error, 1)}
}

func (l *logger) Noticef(format string, v ...any) {
	l.log.Debug("nats-server", "message", fmt.Sprintf(format, v...))
}
func (l *logger) Warnf(format string, v ...any) {
	l.log.Warn("nats-server", "message", fmt.Sprintf(format, v...))
}
func (l *logger) Errorf(format string, v ...any) {
	l.log.Error("nats-server", "message", fmt.Sprintf(format, v...))
}
func (l *logger) Debugf(format string, v ...any) {
	l.log.Debug("nats-server", "message", fmt.Sprintf(format, v...))
}
func (l *logger) Tracef(format string, v ...any) {
	l.log.Debug("nats-server", "message", fmt.Sprintf(format, v...))
}

func (l *logger) Fatalf(format string, v ...any) {
	err := fmt.Errorf(format, v...)
	l.log.Error("nats-server failed", "error", err)
	select {
	case l.failed <- err:
	default: // the first one is the cause
	}
}
