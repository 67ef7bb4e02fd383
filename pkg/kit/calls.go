package kit

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
)

const (
	// callsPause is how long records wait for company at most, and callsBatch how
	// many are sent before that.
	callsPause = time.Second
	callsBatch = 4000
	// callsKept bounds what is kept while the bus takes nothing; more is dropped,
	// and counted.
	callsKept = 100_000
	// callsOfGroup bounds a group, so that it fits a message.
	callsOfGroup = 2000
)

// RecordTenant says in the record of the call that ctx belongs to which tenant
// it concerns. Without it that is the tenant that a person acts in.
func RecordTenant(ctx context.Context, tenant string) {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		c.about.tenant = tenant
	}
}

// RecordDecision says in the record of the call what was decided: whether a
// user of the tenant holds the permission.
func RecordDecision(ctx context.Context, tenant, user, permission string, allowed bool) {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		c.about = about{tenant: tenant, user: user, permission: permission, decided: true, allowed: allowed}
	}
}

// about is what a handler says of its call, for the record.
type about struct {
	tenant, user, permission string
	decided, allowed         bool
}

// callRecord is an answered call; what is spelt out only when it is sent.
type callRecord struct {
	at   time.Time
	took time.Duration
	spec *contract.Spec
	code contract.Code
	id   string // the caller's or, when there was reason to make one, the call's
	call *call
}

// calls sends the records of a server's calls to stream ACCESS: in batches, so
// that a call pays for an append. A record is not a promise: a process that is
// killed loses those of its last second.
//
//	add ──▶ pending ── a second, or callsBatch ──▶ sent, until the bus has it
type calls struct {
	service string
	tel     *Telemetry
	js      jetstream.JetStream
	encoder *zstd.Encoder

	mu      sync.Mutex
	pending []callRecord
	spare   []callRecord

	full          chan struct{}
	running       context.Context
	stop          context.CancelFunc
	sending       context.Context
	giveUp        context.CancelFunc
	done          chan struct{}
	sent, dropped prometheus.Counter
}

func newCalls(nc *nats.Conn, service string, tel *Telemetry) (*calls, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	encoder, err := newEncoder()
	if err != nil {
		return nil, err
	}
	c := &calls{
		service: service, tel: tel, js: js, encoder: encoder, full: make(chan struct{}, 1), done: make(chan struct{}),
		sent: tel.calls.WithLabelValues(service, "sent"), dropped: tel.calls.WithLabelValues(service, "dropped"),
	}
	c.running, c.stop = context.WithCancel(context.Background())
	c.sending, c.giveUp = context.WithCancel(context.Background())
	go c.run()
	return c, nil
}

func newEncoder() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<18))
}

// add takes a call that was answered. It never blocks for long.
func (c *calls) add(r callRecord) {
	c.mu.Lock()
	n := len(c.pending)
	if n < callsKept {
		c.pending = append(c.pending, r)
	}
	c.mu.Unlock()
	switch {
	case n >= callsKept:
		c.dropped.Inc()
	case n == callsBatch:
		select {
		case c.full <- struct{}{}:
		default:
		}
	}
}

func (c *calls) run() {
	defer close(c.done)
	ticker := time.NewTicker(callsPause)
	defer ticker.Stop()
	for c.running.Err() == nil {
		select {
		case <-c.running.Done():
		case <-c.full:
		case <-ticker.C:
		}
		c.flush()
	}
}

// Stop sends what is pending. A bus that does not take it delays a stop by two
// seconds at most. It is idempotent.
func (c *calls) Stop() {
	c.stop()
	defer c.giveUp()
	patience := time.AfterFunc(2*time.Second, c.giveUp)
	defer patience.Stop()
	<-c.done
}

// flush sends what is pending, and returns when the bus has it or Stop gave up.
func (c *calls) flush() {
	c.mu.Lock()
	batch := c.pending
	c.pending, c.spare = c.spare[:0], nil
	c.mu.Unlock()
	fate := c.sent
	for _, msg := range c.messages(batch) {
		if !c.send(msg) {
			fate = c.dropped
		}
	}
	fate.Add(float64(len(batch)))
	clear(batch) // what it refers to may go
	c.mu.Lock()
	c.spare = batch
	c.mu.Unlock()
}

// send publishes until the bus has the message.
func (c *calls) send(msg *nats.Msg) bool {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 5*time.Second) {
		trying, cancel := context.WithTimeout(c.sending, 5*time.Second)
		_, err := c.js.PublishMsg(trying, msg)
		cancel()
		if err == nil || c.running.Err() != nil { // Stop has it tried once more
			return err == nil
		}
		c.tel.Log.Warn("call records not sent; will try again", "service", c.service, "error", err)
		select {
		case <-c.running.Done():
		case <-time.After(pause):
		}
	}
}

// messages encodes a batch: the calls of each tenant are a group.
func (c *calls) messages(batch []callRecord) (all []*nats.Msg) {
	groups := map[string]*group{}
	var message events.CallBatch
	size := 0
	finish := func(tenant string, g *group) {
		g.header.TenantID = tenant
		g.header.Records = c.encoder.EncodeAll(g.lines, nil)
		for operation := range g.operations {
			g.header.Operations = append(g.header.Operations, operation)
		}
		if size += len(g.header.Records) + 512*(1+len(g.header.Denials)); size > contract.MaxBody/2 && len(message.Groups) > 0 {
			all = append(all, c.message(message))
			message, size = events.CallBatch{}, 0
		}
		message.Groups = append(message.Groups, g.header)
	}
	for i := range batch {
		r := &batch[i]
		tenant := r.tenant()
		g := groups[tenant]
		if g == nil {
			g = &group{operations: map[string]bool{}}
			groups[tenant] = g
		}
		g.add(r)
		if g.header.Count == callsOfGroup {
			finish(tenant, g)
			delete(groups, tenant)
		}
	}
	for tenant, g := range groups {
		finish(tenant, g)
	}
	if len(message.Groups) > 0 {
		all = append(all, c.message(message))
	}
	return all
}

func (c *calls) message(batch events.CallBatch) *nats.Msg {
	kind := events.CallsRecorded(c.service)
	e, err := events.Make(kind.Type(), "/core/"+c.service, events.AccessSubject(c.service), map[string]string{events.TenantID: events.Platform}, batch)
	if err == nil {
		var msg *nats.Msg
		if msg, err = events.Encode(e); err == nil {
			msg.Header.Set(nats.MsgIdHdr, e.ID())
			return msg
		}
	}
	panic(err) // of strings, numbers and bytes
}

// group is the calls of a tenant in a batch.
type group struct {
	header     events.CallGroup
	lines      []byte
	operations map[string]bool
}

func (g *group) add(r *callRecord) {
	if g.header.Count == 0 || r.at.Before(g.header.First) {
		g.header.First = r.at
	}
	if r.at.After(g.header.Last) {
		g.header.Last = r.at
	}
	g.header.Count++
	if !g.operations[r.spec.Name] {
		g.operations[r.spec.Name] = true
	}
	g.lines = r.append(g.lines)
	if r.denied() {
		g.deny(r)
	}
}

// deny keeps a denial for the trail: the same one again is counted.
func (g *group) deny(r *callRecord) {
	record := r.record()
	for i := range g.header.Denials {
		if d := &g.header.Denials[i]; d.SameAs(record) {
			d.Count++
			return
		}
	}
	if len(g.header.Denials) < events.MaxDenials {
		g.header.Denials = append(g.header.Denials, events.Denial{CallRecord: record, Count: 1})
	}
}

// denied reports whether somebody known was refused.
func (r *callRecord) denied() bool {
	known := r.call.principal.Kind == KindModule || r.call.user.ID != ""
	return r.code == contract.PermissionDenied || r.code == contract.Unauthenticated && known
}

func (r *callRecord) tenant() string {
	if t := r.call.about.tenant; t != "" {
		return t
	}
	return r.call.user.TenantID
}

func (r *callRecord) record() contract.CallRecord {
	c := r.call
	record := contract.CallRecord{
		Time: r.at.UTC(), Operation: r.spec.Name, Code: string(r.code), Micros: r.took.Microseconds(),
		Caller: string(c.principal.Kind), Module: c.principal.Module, KeyID: c.principal.KeyID, UserID: c.user.ID,
		SubjectID: c.about.user, Asked: c.about.permission, RequestID: r.id,
	}
	if c.about.decided {
		record.Allowed = &c.about.allowed
	}
	if c.client.Address.IsValid() {
		record.Address = c.client.Address.String()
	}
	return record
}

// append writes the record as a line of JSON. By hand, for every call pays for
// it: encoding/json takes five times as long.
func (r *callRecord) append(line []byte) []byte {
	c := r.call
	line = append(line, `{"time":"`...)
	line = r.at.UTC().AppendFormat(line, time.RFC3339Nano)
	line = append(line, `","operation":"`...)
	line = append(line, r.spec.Name...)
	line = append(line, `","code":"`...)
	line = append(line, r.code...)
	line = append(line, `","micros":`...)
	line = strconv.AppendInt(line, r.took.Microseconds(), 10)
	line = append(line, `,"caller":"`...)
	line = append(line, c.principal.Kind...)
	line = append(line, '"')
	line = member(line, "module", c.principal.Module)
	line = member(line, "key_id", c.principal.KeyID)
	line = member(line, "user_id", c.user.ID)
	line = member(line, "subject_id", c.about.user)
	line = member(line, "asked", c.about.permission)
	if c.about.decided {
		line = strconv.AppendBool(append(line, `,"allowed":`...), c.about.allowed)
	}
	line = member(line, "request_id", r.id)
	if c.client.Address.IsValid() {
		line = member(line, "address", c.client.Address.String())
	}
	return append(line, "}\n"...)
}

// member writes a member that has a value.
func member(line []byte, name, value string) []byte {
	if value == "" {
		return line
	}
	line = append(append(append(line, `,"`...), name...), `":`...)
	if plain(value) {
		return append(append(append(line, '"'), value...), '"')
	}
	quoted, _ := json.Marshal(value) // a string
	return append(line, quoted...)
}

func plain(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}
