package ledger

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

const fileName = "ledger.jsonl"

// record is one line of the file: exactly one of the two.
type record struct {
	Account *Account `json:"account,omitempty"`
	Invoice *Invoice `json:"invoice,omitempty"`
}

// key is the tenant, and what must be unique within it.
func (r record) key() (tenant, key string) {
	if r.Account != nil {
		return r.Account.TenantID, "account code " + r.Account.Code
	}
	return r.Invoice.TenantID, "invoice number " + r.Invoice.Number
}

// file is what a journal needs of an *os.File; tests break it.
type file interface {
	io.Writer
	Sync() error
	Truncate(size int64) error
	Close() error
}

// journal appends records to the file and makes them durable one by one.
type journal struct {
	file   file
	size   int64 // up to here every line is whole and durable
	broken bool
	unlock func() error
}

func openJournal(dir string, apply func(record) error) (j *journal, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("%s is in use by another process: %w", dir, err)
	}
	defer func() {
		if err != nil {
			_ = unlock()
		}
	}()
	path := filepath.Join(dir, fileName)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	size, err := replay(f, apply)
	if err == nil {
		err = errors.Join(f.Truncate(size), f.Sync(), syncDir(dir))
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &journal{file: f, size: size, unlock: unlock}, nil
}

// replay applies every whole line and returns where they end. A line without
// an end is torn; one that is whole and cannot be read is damage that a person
// must look at.
func replay(f io.Reader, apply func(record) error) (size int64, err error) {
	data, err := io.ReadAll(f)
	if err != nil {
		return 0, err
	}
	for number := 1; ; number++ {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		if !whole {
			return size, nil
		}
		var r record
		if err := json.Unmarshal(line, &r); err != nil {
			return 0, fmt.Errorf("line %d: %w", number, err)
		}
		if (r.Account == nil) == (r.Invoice == nil) {
			return 0, fmt.Errorf("line %d: not one account or invoice", number)
		}
		if err := apply(r); err != nil {
			return 0, fmt.Errorf("line %d: %w", number, err)
		}
		size += int64(len(line)) + 1
		data = rest
	}
}

// append returns when the record is on disk. After a failure the file ends
// where it did before; when that is not certain the journal takes no more.
func (j *journal) append(r record) error {
	if j.broken {
		return ErrBroken
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if _, err := j.file.Write(line); err != nil {
		if undo := j.file.Truncate(j.size); undo != nil {
			j.broken = true
		}
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	if err := j.file.Sync(); err != nil {
		// What the disk holds now is unknown, and a second fsync may lie.
		j.broken = true
		_ = j.file.Truncate(j.size)
		return fmt.Errorf("%w: %w", ErrBroken, err)
	}
	j.size += int64(len(line))
	return nil
}

func (j *journal) close() error {
	j.broken = true
	err := j.file.Close()
	if unlockErr := j.unlock(); unlockErr != nil && err == nil {
		err = unlockErr
	}
	return err
}

// syncDir makes a new file's name durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// newID returns a UUIDv7: milliseconds and 74 random bits.
func newID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	var now [8]byte
	binary.BigEndian.PutUint64(now[:], uint64(time.Now().UnixMilli()))
	copy(id[:6], now[2:])
	id[6] = id[6]&0x0f | 0x70
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
