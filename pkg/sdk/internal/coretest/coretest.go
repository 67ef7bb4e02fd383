// Package coretest is a core to test local decisions against: it keeps
// policies, pages snapshots of them and tells what changes, over whatever link
// a test puts before it.
package coretest

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
)

// Core is safe for concurrent use. Its fields are set before it is used.
type Core struct {
	Module string
	// Skew is how far its clock is ahead of the machine's.
	Skew time.Duration

	mu        sync.Mutex
	pageSize  int
	tenants   map[string]*tenant
	listeners map[int]func(tenant string, message []byte)
	next      int
	asked     []contract.PolicySnapshotRequest
	refuse    error
}

type tenant struct {
	visible bool
	history []version // by revision, from 0
}

type version struct {
	policy *decision.Policy
	at     time.Time // by the machine's clock
}

// New returns a core without tenants.
func New(module string) *Core {
	return &Core{Module: module, tenants: map[string]*tenant{}, listeners: map[int]func(string, []byte){}}
}

// SetPageSize says how many changes a page of a snapshot holds; 0 is all.
func (c *Core) SetPageSize(changes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pageSize = changes
}

// Now is the core's clock.
func (c *Core) Now() time.Time { return time.Now().Add(c.Skew).UTC() }

func (c *Core) tenant(id string) *tenant {
	t := c.tenants[id]
	if t == nil {
		t = &tenant{visible: true, history: []version{{decision.New(), time.Now()}}}
		c.tenants[id] = t
	}
	return t
}

// Commit makes a step of a tenant's policy and returns its revision; nobody is
// told.
func (c *Core) Commit(tenant string, changes ...contract.PolicyChange) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tenant(tenant)
	revision := int64(len(t.history))
	t.history = append(t.history, version{t.history[revision-1].policy.Apply(revision, changes), time.Now()})
	return revision
}

// Change commits a step and tells it.
func (c *Core) Change(tenant string, changes ...contract.PolicyChange) int64 {
	revision := c.Commit(tenant, changes...)
	c.Step(tenant, revision, changes...)
	return revision
}

// Step tells a step.
func (c *Core) Step(tenant string, revision int64, changes ...contract.PolicyChange) {
	c.Tell(contract.PolicyFeedMessage{TenantID: tenant, Revision: revision, Step: true, Changes: changes})
}

// Repeat tells a tenant's revision.
func (c *Core) Repeat(tenant string) {
	c.Tell(contract.PolicyFeedMessage{TenantID: tenant, Revision: c.Revision(tenant)})
}

// Show makes a tenant visible to the module, or not, and tells it.
func (c *Core) Show(tenant string, visible bool) {
	c.mu.Lock()
	c.tenant(tenant).visible = visible
	c.mu.Unlock()
	c.Tell(contract.PolicyFeedMessage{TenantID: tenant, Revision: c.Commit(tenant), Gone: !visible, Reset: visible})
}

// Beat tells that everything before asOf was told; zero is now.
func (c *Core) Beat(asOf time.Time) {
	if asOf.IsZero() {
		asOf = c.Now()
	}
	c.Tell(contract.PolicyFeedMessage{AsOf: &asOf})
}

// BeatEvery beats until ctx ends.
func (c *Core) BeatEvery(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		c.Beat(time.Time{})
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Tell sends a message of the feed to all who listen.
func (c *Core) Tell(message contract.PolicyFeedMessage) {
	data, err := json.Marshal(message)
	if err != nil {
		panic(err)
	}
	c.TellRaw(message.TenantID, data)
}

// TellRaw sends what may not be a message at all.
func (c *Core) TellRaw(tenant string, data []byte) {
	if tenant == "" {
		tenant = contract.FeedBeats
	}
	c.mu.Lock()
	listeners := slices.Collect(maps.Values(c.listeners))
	c.mu.Unlock()
	for _, listen := range listeners {
		listen(tenant, data)
	}
}

// Listen has everything told to a function, which must not block, until stop.
func (c *Core) Listen(listener func(tenant string, message []byte)) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	number := c.next
	c.listeners[number] = listener
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.listeners, number)
	}
}

// Listeners is how many listen.
func (c *Core) Listeners() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.listeners)
}

// Revision is a tenant's latest.
func (c *Core) Revision(tenant string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int64(len(c.tenant(tenant).history)) - 1
}

// At is a tenant's policy at a revision.
func (c *Core) At(tenant string, revision int64) *decision.Policy {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tenant(tenant).history[revision].policy
}

// CommittedBefore is the latest revision that a tenant had at a moment of the
// machine's clock.
func (c *Core) CommittedBefore(tenant string, moment time.Time) (revision int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, v := range c.tenant(tenant).history {
		if v.at.Before(moment) {
			revision = int64(i)
		}
	}
	return revision
}

// Refuse makes snapshots and streams end with an error; nil ends that.
func (c *Core) Refuse(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = err
}

// Refused is the error that streams end with.
func (c *Core) Refused() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refuse
}

// Asked are the snapshots that were asked for.
func (c *Core) Asked() []contract.PolicySnapshotRequest {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.asked)
}

// Snapshot answers rbac.snapshot. A page is of the moment, so the pages of a
// tenant may be of different revisions.
func (c *Core) Snapshot(_ context.Context, r *contract.PolicySnapshotRequest) (*contract.PolicySnapshotResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, *r)
	if c.refuse != nil {
		return nil, c.refuse
	}
	answer := &contract.PolicySnapshotResponse{
		Feed: []string{contract.FeedSubject(c.Module, "*"), contract.FeedSubject(c.Module, contract.FeedBeats)}, Now: c.Now(),
	}
	id, cursor, _ := strings.Cut(r.Cursor, "/")
	room := c.pageSize
	for _, name := range slices.Sorted(maps.Keys(c.tenants)) {
		t := c.tenants[name]
		if name < id || r.TenantID != "" && name != string(r.TenantID) || !t.visible {
			continue
		}
		if name != id {
			cursor = ""
		}
		if c.pageSize > 0 && room == 0 {
			answer.NextCursor = name + "/"
			break
		}
		revision := int64(len(t.history)) - 1
		if revision < r.AtLeast {
			return nil, contract.Errorf(contract.Conflict, "at revision %d", revision)
		}
		changes, next := t.history[revision].policy.Part(cursor, room, "")
		answer.Items = append(answer.Items, contract.PolicyPart{TenantID: name, Revision: revision, Changes: changes, More: next != ""})
		room -= len(changes)
		if next != "" {
			answer.NextCursor = name + "/" + next
			break
		}
	}
	if r.TenantID != "" && len(answer.Items) == 0 {
		return nil, contract.Errorf(contract.NotFound, "no tenant %s", r.TenantID)
	}
	return answer, nil
}

// ID is a UUID that ends in a number.
func ID(kind, number int) string {
	n := strconv.Itoa(number)
	return "01900000-0000-7000-8000-" + strconv.Itoa(kind) + strings.Repeat("0", 11-len(n)) + n
}
