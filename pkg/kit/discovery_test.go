package kit

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
)

func TestServiceDiscoveryAnswers(t *testing.T) {
	t.Parallel()
	s := serve(t)
	op := operation("tenant.found", contract.Internal|contract.Module)
	require.NoError(t, Handle(s.Server, op, func(_ context.Context, r *ask) (*told, error) {
		if r.Text == "" {
			return nil, contract.Missing("thing")
		}
		return &told{}, nil
	}))
	for _, text := range []string{"a", "", "b", ""} {
		_, _ = Call(bounded(t), s.client, op, &ask{text})
	}
	identity := micro.ServiceIdentity{Name: "tenant", ID: s.id, Version: "1.2.3"}
	for _, suffix := range []string{"", ".tenant", ".tenant." + s.id} {
		var ping micro.Ping
		s.discover(t, "$SRV.PING"+suffix, &ping)
		require.Equal(t, micro.Ping{ServiceIdentity: identity, Type: micro.PingResponseType}, ping)

		var info micro.Info
		s.discover(t, "$SRV.INFO"+suffix, &info)
		require.Equal(t, identity, info.ServiceIdentity)
		require.Equal(t, micro.InfoResponseType, info.Type)
		require.ElementsMatch(t, []micro.EndpointInfo{
			{Name: "tenant-found", Subject: "core.tenant.found", QueueGroup: "core"},
			{Name: "tenant-found", Subject: "m.*.core.tenant.found", QueueGroup: "core"},
		}, info.Endpoints)

		var stats micro.Stats
		s.discover(t, "$SRV.STATS"+suffix, &stats)
		require.Equal(t, identity, stats.ServiceIdentity)
		require.Len(t, stats.Endpoints, 1)
		e := stats.Endpoints[0]
		require.Equal(t, 4, e.NumRequests)
		require.Equal(t, 2, e.NumErrors)
		require.Equal(t, "not_found", e.LastError)
		require.Positive(t, e.ProcessingTime)
		require.Equal(t, e.ProcessingTime/4, e.AverageProcessingTime)
	}
	for _, other := range []string{"$SRV.PING.auth", "$SRV.PING.tenant.another"} {
		_, err := s.client.nats.RequestWithContext(bounded(t), other, nil)
		require.ErrorIs(t, err, nats.ErrNoResponders, other)
	}
}

func (s *serving) discover(t *testing.T, subject string, into any) {
	t.Helper()
	reply, err := s.client.nats.RequestWithContext(bounded(t), subject, nil)
	require.NoError(t, err, subject)
	require.NoError(t, json.Unmarshal(reply.Data, into), "%s", reply.Data)
}
