// Package trail is the audit trail as anybody may check it: the entries of a
// tenant's log, the Merkle tree over them (RFC 6962), its signed checkpoints,
// proofs, and the verification of an export. It needs neither the platform nor
// its database.
package trail

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/tlog"
)

// Hash is a hash of the tree, SHA-256.
type Hash = tlog.Hash

// ErrEntry says that a line is no entry.
var ErrEntry = errors.New("not an entry of an audit trail")

// Entry is a record of a tenant's trail: a CloudEvent in structured mode, with
// the place that it has in the trail.
type Entry struct {
	// TenantID is whose trail it is in, and Sequence its place there: from 1 on,
	// without gaps.
	TenantID string
	Sequence int64
	// Stream is where it came from, EVENTS or AUDIT.
	Stream string

	ID, Source, Type, Subject string
	// Time is when it happened, in UTC, to the microsecond.
	Time time.Time
	// Extensions are the other extension attributes.
	Extensions map[string]string
	// Data is what was received, byte for byte.
	Data []byte
}

// reserved are the attributes that Extensions cannot hold.
var reserved = []string{
	"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data", "data_base64", "tenantid", "sequence", "stream",
}

// Encode renders the entry as one line of JSON, without the line break: what is
// stored, exported, and hashed into the tree. Equal entries are equal lines.
func (e *Entry) Encode() []byte {
	line := make([]byte, 0, len(e.Data)+512)
	line = append(line, `{"specversion":"1.0"`...)
	line = attribute(line, "tenantid", e.TenantID)
	line = attribute(line, "sequence", strconv.FormatInt(e.Sequence, 10))
	line = attribute(line, "stream", e.Stream)
	line = attribute(line, "id", e.ID)
	line = attribute(line, "source", e.Source)
	line = attribute(line, "type", e.Type)
	line = attribute(line, "subject", e.Subject)
	line = attribute(line, "time", e.Time.UTC().Format(time.RFC3339Nano))
	for _, name := range slices.Sorted(maps.Keys(e.Extensions)) {
		if !slices.Contains(reserved, name) {
			line = attribute(line, name, e.Extensions[name])
		}
	}
	switch {
	case len(e.Data) == 0:
	case !bytes.ContainsAny(e.Data, "\r\n") && utf8.Valid(e.Data) && json.Valid(e.Data) && bytes.Equal(e.Data, bytes.TrimSpace(e.Data)):
		line = append(line, `,"datacontenttype":"application/json","data":`...)
		line = append(line, e.Data...)
	default:
		line = append(line, `,"data_base64":"`...)
		line = append(base64.StdEncoding.AppendEncode(line, e.Data), '"')
	}
	return append(line, '}')
}

func attribute(line []byte, name, value string) []byte {
	if value == "" {
		return line
	}
	line = append(line, ',')
	line = append(quote(line, name), ':')
	return quote(line, value)
}

// quote appends a string of JSON.
func quote(line []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(strings.ToValidUTF8(s, "\ufffd"))
			return append(line, quoted...)
		}
	}
	return append(append(append(line, '"'), s...), '"')
}

// Decode reads a line of Encode; any other is ErrEntry, even one that says the
// same in other words.
func Decode(line []byte) (*Entry, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(line, &members); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEntry, err)
	}
	e := &Entry{}
	text := map[string]string{}
	for name, raw := range members {
		if name == "data" {
			e.Data = raw
			continue
		}
		var value string
		if err := json.Unmarshal(raw, &value); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrEntry, name, err)
		}
		text[name] = value
	}
	take := func(name string) string {
		value := text[name]
		delete(text, name)
		return value
	}
	var err error
	fail := func(name string, because error) {
		if because != nil && err == nil {
			err = fmt.Errorf("%w: %s: %w", ErrEntry, name, because)
		}
	}
	e.TenantID, e.Stream, e.ID, e.Source = take("tenantid"), take("stream"), take("id"), take("source")
	e.Type, e.Subject = take("type"), take("subject")
	sequence, bad := strconv.ParseInt(take("sequence"), 10, 64)
	fail("sequence", bad)
	e.Sequence = sequence
	at, bad := time.Parse(time.RFC3339Nano, take("time"))
	fail("time", bad)
	e.Time = at.UTC()
	if encoded := take("data_base64"); encoded != "" {
		data, bad := base64.StdEncoding.DecodeString(encoded)
		fail("data_base64", bad)
		e.Data = data
	}
	take("specversion")
	take("datacontenttype")
	if len(text) > 0 {
		e.Extensions = text
	}
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(e.Encode(), line) {
		return nil, fmt.Errorf("%w: not spelt as one", ErrEntry)
	}
	return e, nil
}

// LeafHash is the hash of an entry, as Encode renders it, as a leaf of the tree:
// SHA-256(0x00 ‖ line), RFC 6962 §2.1.
func LeafHash(line []byte) Hash { return tlog.RecordHash(line) }
