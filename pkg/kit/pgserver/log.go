package pgserver

import (
	"os"
	"path/filepath"
	"strings"
)

const (
	maxLogSize  = 8 << 20
	tailLines   = 10
	maxTailSize = 4 << 10
)

// logFile is postgres.log, opened to append; offset is where this run begins.
type logFile struct {
	*os.File
	offset int64
}

func (h *home) logPath() string { return filepath.Join(h.dir, "postgres.log") }

// openLog opens postgres.log; a large one is put aside as postgres.log.old first.
func (h *home) openLog() (*logFile, error) {
	if info, err := os.Stat(h.logPath()); err == nil && info.Size() > maxLogSize {
		if err := os.Rename(h.logPath(), h.logPath()+".old"); err != nil {
			return nil, err
		}
	}
	f, err := os.OpenFile(h.logPath(), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &logFile{File: f, offset: info.Size()}, nil
}

// logTail returns the last lines that were logged after offset, below the log's name.
func (h *home) logTail(offset int64) string {
	f, err := os.Open(h.logPath())
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil {
		offset = max(offset, info.Size()-maxTailSize)
	}
	tail := make([]byte, maxTailSize)
	n, _ := f.ReadAt(tail, offset)
	lines := strings.Split(strings.TrimSpace(string(tail[:n])), "\n")
	lines = lines[max(0, len(lines)-tailLines):]
	return h.logPath() + ":\n  " + strings.Join(lines, "\n  ")
}
