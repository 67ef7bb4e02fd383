package kit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit/natsconn"
)

// accessStream makes the stream and returns a reader of it.
func accessStream(t testing.TB, b *bus) jetstream.Consumer {
	t.Helper()
	js, err := jetstream.New(b.user(natsconn.Audit))
	require.NoError(t, err)
	require.NoError(t, events.Ensure(bounded(t), js, events.AccessStream, 1))
	consumer, err := js.OrderedConsumer(bounded(t), events.AccessStream, jetstream.OrderedConsumerConfig{})
	require.NoError(t, err)
	return consumer
}

// nextBatch waits for a batch, and returns its calls by tenant.
func nextBatch(t testing.TB, from jetstream.Consumer) (map[string][]contract.CallRecord, events.CallBatch) {
	t.Helper()
	msg, err := from.Next(jetstream.FetchMaxWait(limit))
	require.NoError(t, err)
	e, err := events.Decode(msg.Headers(), msg.Data())
	require.NoError(t, err)
	require.True(t, events.CallsRecorded("tenant").Is(e))
	require.Equal(t, events.AccessSubject("tenant"), msg.Subject())
	batch, err := events.Data[events.CallBatch](e)
	require.NoError(t, err)
	decoder, err := zstd.NewReader(nil)
	require.NoError(t, err)
	calls := map[string][]contract.CallRecord{}
	for _, g := range batch.Groups {
		lines, err := decoder.DecodeAll(g.Records, nil)
		require.NoError(t, err)
		for line := range bytes.Lines(lines) {
			var record contract.CallRecord
			require.NoError(t, json.Unmarshal(line, &record))
			require.False(t, record.Time.Before(g.First) || record.Time.After(g.Last))
			require.Contains(t, g.Operations, record.Operation)
			calls[g.TenantID] = append(calls[g.TenantID], record)
		}
		require.NotEmpty(t, calls[g.TenantID])
	}
	return calls, batch
}

func TestEveryCallLeavesARecord(t *testing.T) {
	t.Parallel()
	s := serve(t)
	from := accessStream(t, s.bus)
	about := operation("tenant.about", contract.Module|contract.Internal)
	require.NoError(t, HandleFast(s.Server, about, func(ctx context.Context, r *ask) (*told, bool, error) {
		RecordDecision(ctx, r.Text, "u1", "a:b", r.Text == "t1")
		return &told{r.Text}, true, nil
	}, nil))
	fails := operation("tenant.fails", contract.Internal)
	require.NoError(t, Handle(s.Server, fails, func(context.Context, *ask) (*told, error) {
		return nil, contract.Missing("thing")
	}))
	for i := range 5 {
		_, err := Call(bounded(t), s.client, about, &ask{fmt.Sprintf("t%d", i%2)})
		require.NoError(t, err)
	}
	_, err := Call(bounded(t), s.client, fails, &ask{})
	require.ErrorIs(t, err, &contract.Error{Code: contract.NotFound})
	// A module that is not let in by the operation, twice.
	for range 2 {
		_, err = s.client.Do(bounded(t), fails.Spec, Outgoing{Principal: Principal{Kind: KindModule, KeyID: module}, Body: []byte("{}")})
		require.ErrorIs(t, err, &contract.Error{Code: contract.PermissionDenied})
	}
	require.NoError(t, s.Stop(bounded(t)))
	all, batch := nextBatch(t, from)
	require.Len(t, all, 3)
	require.Len(t, all["t0"], 3)
	require.Len(t, all["t1"], 2)
	require.Len(t, all[""], 3)
	yes := all["t1"][0]
	require.Equal(t, []any{"tenant.about", "ok", "service", "u1", "a:b", true}, []any{yes.Operation, yes.Code, yes.Caller, yes.SubjectID, yes.Asked, *yes.Allowed})
	require.False(t, *all["t0"][0].Allowed)
	require.Equal(t, []string{"not_found", "permission_denied", "permission_denied"},
		[]string{all[""][0].Code, all[""][1].Code, all[""][2].Code})
	require.Equal(t, []any{"module", "crm", module}, []any{all[""][1].Caller, all[""][1].Module, all[""][1].KeyID})
	for _, g := range batch.Groups {
		if g.TenantID != "" {
			require.Empty(t, g.Denials)
			continue
		}
		require.Len(t, g.Denials, 1, "the same one is counted")
		require.Equal(t, 2, g.Denials[0].Count)
	}
}

// What is answered while the bus is away is recorded when it is back.
func TestRecordsWaitForTheStream(t *testing.T) {
	t.Parallel()
	s := serve(t)
	op := operation("tenant.echo", contract.Internal)
	require.NoError(t, Handle(s.Server, op, echo))
	_, err := Call(bounded(t), s.client, op, &ask{"early"})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return strings.Contains(s.logs.String(), "call records not sent") }, limit, 10*time.Millisecond)
	calls, _ := nextBatch(t, accessStream(t, s.bus))
	require.Len(t, calls[""], 1)
}

func TestARecordIsTheSameByHand(t *testing.T) {
	t.Parallel()
	spec := &contract.Spec{Name: "rbac.check"}
	for _, r := range []callRecord{
		{spec: spec, code: "ok", call: &call{principal: Principal{Kind: KindService}}},
		{
			spec: spec, code: contract.PermissionDenied, at: time.Now(), took: 1500 * time.Microsecond, id: "request-1",
			call: &call{
				principal: Principal{Kind: KindModule, Module: "crm", KeyID: module}, user: User{ID: "u2"},
				client: ClientInfo{Address: netip.MustParseAddr("fe80::1%eth\"0")},
				about:  about{user: "a\"<\\\x01é", permission: "x:y", decided: true, allowed: true},
			},
		},
	} {
		var got contract.CallRecord
		if err := json.Unmarshal(r.append(nil), &got); err != nil {
			require.NoError(t, err, "%s", r.append(nil))
		}
		require.Equal(t, r.record(), got)
	}
}

func TestAFullBacklogDropsAndCounts(t *testing.T) {
	t.Parallel()
	tel := telemetry(t, nil)
	c := &calls{
		full: make(chan struct{}, 1), dropped: tel.calls.WithLabelValues("tenant", "dropped"),
		pending: make([]callRecord, callsKept),
	}
	c.add(callRecord{})
	require.Len(t, c.pending, callsKept)
	families, err := tel.Metrics.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == "buildify_call_records_total" {
			require.InDelta(t, 1, f.GetMetric()[0].GetCounter().GetValue(), 0)
			return
		}
	}
	t.Fatal("not counted")
}

// BenchmarkACallsRecord is all that a record costs the service that answers:
// keeping, spelling out, compressing.
func BenchmarkACallsRecord(b *testing.B) {
	c := &calls{full: make(chan struct{}, 1), service: "rbac"}
	var err error
	c.encoder, err = newEncoder()
	require.NoError(b, err)
	spec := &contract.Spec{Name: "rbac.check"}
	tenants := make([]string, 50)
	for i := range tenants {
		tenants[i] = NewID()
	}
	b.ReportAllocs()
	size, n := 0, 0
	for b.Loop() {
		c.add(callRecord{at: time.Now(), took: 31 * time.Microsecond, spec: spec, code: "ok", call: &call{
			principal: Principal{Kind: KindModule, Module: "crm", KeyID: module},
			about:     about{tenant: tenants[n%len(tenants)], user: tenants[(7*n)%len(tenants)], permission: "crm:contacts:read", decided: true, allowed: n%3 > 0},
		}})
		if n++; len(c.pending) == callsBatch {
			for _, msg := range c.messages(c.pending) {
				size += len(msg.Data)
			}
			c.pending = c.pending[:0]
		}
	}
	b.ReportMetric(float64(size)/float64(max(n, 1)), "bytes/record")
}
