// Package personal keeps what is personal in the trails under a key of the person
// whose it is, so that it can be forgotten without altering a trail: the entries,
// their hashes and what was signed of them hold what is sealed.
package personal

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/database"
	"github.com/buildify/core/pkg/kit/sealed"
	"github.com/buildify/core/pkg/trail"
	"github.com/buildify/core/services/audit/internal/record"
	"github.com/buildify/core/services/audit/internal/store/db"
)

const (
	// remembered is for how long a replica seals with a key that it has seen: what
	// happens so soon after a person was shredded is shredded too.
	remembered = 10 * time.Second
	// rememberedKeys bounds how many.
	rememberedKeys = 10_000
)

// Personal seals and opens. It is safe for concurrent use.
type Personal struct {
	db        *database.DB
	box       *sealed.Box
	pseudonym []byte

	mu   sync.Mutex
	keys map[place]key
}

type place struct{ tenant, person string }

type key struct {
	*sealed.Box
	until time.Time
}

// New returns Personal, with keys sealed under the installation's secret.
func New(d *database.DB, secret []byte) (*Personal, error) {
	box, err := sealed.NewBox(secret, "audit person keys")
	if err != nil {
		return nil, err
	}
	pseudonym, err := sealed.Derive(secret, "audit pseudonyms")
	return &Personal{db: d, box: box, pseudonym: pseudonym, keys: map[place]key{}}, err
}

// closed stands where something personal stood.
type closed struct {
	Sealed string `json:"sealed"`
	Person string `json:"person"`
}

// shredded stands, for readers, where nobody can read it any more.
var shredded = []byte(`{"shredded":true}`)

// members are the paths of what is personal in an entry's data.
func members(e *trail.Entry) []string {
	switch e.Type {
	case record.Type:
		return []string{"request.address", "request.agent"}
	case record.FirstType:
		return nil
	}
	d, _ := events.Lookup(e.Type)
	return d.Personal
}

// person is whom an entry's data is about: the one that it names, or who acted.
func person(e *db.AuditEvent, entry *trail.Entry) string {
	var data struct {
		UserID string `json:"user_id"`
	}
	_ = json.Unmarshal(entry.Data, &data) // what is none names nobody
	if id, err := uuid.Parse(data.UserID); err == nil {
		return id.String()
	}
	if e.UserID != nil {
		return *e.UserID
	}
	return ""
}

// Seal seals what is personal in an entry that is not placed yet, and in the
// columns beside it. What is of nobody known stays as it is.
func (p *Personal) Seal(ctx context.Context, _ *db.Queries, e *db.AuditEvent, entry *trail.Entry) error {
	if entry.Type == record.Type && e.Address == "" && e.Agent == "" {
		return nil // all that its members could be
	}
	paths := members(entry)
	who := person(e, entry)
	if len(paths) == 0 || who == "" || len(entry.Data) == 0 {
		return nil
	}
	var own *sealed.Box
	data, err := rewrite(entry.Data, paths, func(path string, raw []byte) (_ []byte, err error) {
		if string(raw) == "null" || string(raw) == `""` {
			return raw, nil
		}
		if own == nil {
			if own, err = p.key(ctx, e.TenantID, who); err != nil {
				return nil, err
			}
		}
		return json.Marshal(closed{base64.StdEncoding.EncodeToString(own.Seal(entry.ID+" "+path, raw)), who})
	})
	if err != nil || own == nil {
		return err
	}
	entry.Data = data
	e.Address, e.Agent = p.alias(e.TenantID, e.Address), ""
	return nil
}

// alias stands for an address where equal ones must be known as equal.
func (p *Personal) alias(tenant, address string) string {
	if address == "" {
		return ""
	}
	h := hmac.New(sha256.New, p.pseudonym)
	h.Write([]byte(tenant + " " + address))
	return "~" + hex.EncodeToString(h.Sum(nil)[:8])
}

// Open opens what is sealed, for a reader of the trail. What was shredded says so.
func (p *Personal) Open(ctx context.Context, q *db.Queries, e *db.AuditEvent, entry *trail.Entry) error {
	paths := members(entry)
	if len(paths) == 0 {
		return nil
	}
	opened := map[string]*sealed.Box{}
	any := false
	data, err := rewrite(entry.Data, paths, func(path string, raw []byte) ([]byte, error) {
		var c closed
		if json.Unmarshal(raw, &c) != nil || c.Sealed == "" {
			return raw, nil //nolint:nilerr // what is not sealed stays as it is
		}
		any = true
		own, known := opened[c.Person]
		if !known {
			kept, err := q.PersonKey(ctx, db.PersonKeyParams{TenantID: e.TenantID, PersonID: c.Person})
			if err != nil && !database.Missing(err) {
				return nil, err
			}
			if err == nil {
				if own, err = p.unseal(e.TenantID, c.Person, kept); err != nil {
					return nil, err
				}
			}
			opened[c.Person] = own
		}
		if own == nil {
			return shredded, nil
		}
		secret, err := base64.StdEncoding.DecodeString(c.Sealed)
		if err != nil {
			return shredded, nil //nolint:nilerr // altered: nobody can read it either
		}
		plain, err := own.Unseal(entry.ID+" "+path, secret)
		if errors.Is(err, sealed.ErrSealed) { // under the key before it was shredded
			return shredded, nil
		}
		return plain, err
	})
	if err != nil || !any {
		return err
	}
	entry.Data = data
	e.Address, e.Agent = text(data, "address"), text(data, "agent")
	return nil
}

// text is a member of the data, or of its request.
func text(data []byte, name string) string {
	var all map[string]json.RawMessage
	_ = json.Unmarshal(data, &all) // what is none has none
	if all[name] == nil {
		request := all["request"]
		all = nil
		_ = json.Unmarshal(request, &all)
	}
	var value string
	_ = json.Unmarshal(all[name], &value) // what was shredded is not shown
	return value
}

// key is the person's, made where there is none: in a transaction of its own, for
// what is sealed with it may not outlive it.
func (p *Personal) key(ctx context.Context, tenant, person string) (*sealed.Box, error) {
	at := place{tenant, person}
	p.mu.Lock()
	kept, ok := p.keys[at]
	p.mu.Unlock()
	if ok && time.Now().Before(kept.until) {
		return kept.Box, nil
	}
	fresh := make([]byte, sealed.MinLength)
	_, _ = rand.Read(fresh) // never fails, as its package says
	var stored []byte
	err := p.db.In(ctx, tenant, func(tx pgx.Tx) (err error) {
		stored, err = db.New(tx).MakePersonKey(ctx, db.MakePersonKeyParams{
			TenantID: tenant, PersonID: person, Sealed: p.box.Seal(name(tenant, person), fresh),
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	own, err := p.unseal(tenant, person, stored)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.keys) >= rememberedKeys {
		clear(p.keys)
	}
	p.keys[at] = key{own, time.Now().Add(remembered)}
	return own, nil
}

func (p *Personal) unseal(tenant, person string, stored []byte) (*sealed.Box, error) {
	secret, err := p.box.Unseal(name(tenant, person), stored)
	if err != nil {
		return nil, err
	}
	return sealed.NewBox(secret, "audit "+tenant)
}

func name(tenant, person string) string { return tenant + " " + person }

// forget drops the key that this replica remembers.
func (p *Personal) forget(tenant, person string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.keys, place{tenant, person})
}

// rewrite replaces the members at some paths of an object, and leaves every other
// byte as it is. What is no object is left alone.
func rewrite(data []byte, paths []string, by func(path string, raw []byte) ([]byte, error)) ([]byte, error) {
	return rewriteAt(data, "", paths, by)
}

func rewriteAt(data []byte, at string, paths []string, by func(string, []byte) ([]byte, error)) ([]byte, error) {
	dec := json.NewDecoder(strings.NewReader(string(data)))
	open, err := dec.Token()
	if err != nil || open != json.Delim('{') && open != json.Delim('[') {
		return data, nil //nolint:nilerr // not what has members
	}
	var out []byte
	done := int64(0)
	for dec.More() {
		path := at + "[]"
		if open == json.Delim('{') {
			member, err := dec.Token()
			if err != nil {
				return data, nil //nolint:nilerr // not JSON
			}
			path = strings.TrimPrefix(at+"."+member.(string), ".") //nolint:errcheck // a member's name
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return data, nil //nolint:nilerr // not JSON
		}
		end := dec.InputOffset()
		replaced, err := rewriteValue(raw, path, paths, by)
		if err != nil {
			return nil, err
		}
		out = append(append(out, data[done:end-int64(len(raw))]...), replaced...)
		done = end
	}
	return append(out, data[done:]...), nil
}

func rewriteValue(raw []byte, path string, paths []string, by func(string, []byte) ([]byte, error)) ([]byte, error) {
	for _, p := range paths {
		if p == path {
			return by(path, raw)
		}
		if strings.HasPrefix(p, path) {
			return rewriteAt(raw, path, paths, by)
		}
	}
	return raw, nil
}
