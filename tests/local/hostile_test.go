package local

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// A module on the bus may name any subject as the reply of its own request, and
// so have the core's answer delivered on another's feed. Such an answer must not
// pass for something that was told.
func testAnotherModulesAnswers(t *testing.T, s *stack.Stack, m *module) {
	hostile := s.Company(t)
	victim, err := s.ModuleBus(t, m.APIKey)
	require.NoError(t, err)
	heard, err := victim.SubscribeSync(contract.FeedSubject(m.Module, "*"))
	require.NoError(t, err)
	require.NoError(t, victim.FlushWithContext(stack.Context(t)))
	bus, err := s.ModuleBus(t, hostile.APIKey)
	require.NoError(t, err)
	request := `{"user_id":"` + hostile.Reader.ID + `","permission":"` + hostile.Module + `:accounts:read"}`
	before := m.client.LocalState()
	require.True(t, before.Fresh)
	for _, subject := range []string{contract.FeedSubject(m.Module, contract.FeedBeats), contract.FeedSubject(m.Module, m.Tenant.ID)} {
		require.NoError(t, bus.PublishMsg(&nats.Msg{
			Subject: contract.CheckPermission.ModuleSubject(hostile.KeyID), Reply: subject, Data: []byte(request),
			Header: nats.Header{contract.HeaderFeed: {"1"}},
		}))
		for {
			msg, err := heard.NextMsgWithContext(stack.Context(t))
			require.NoError(t, err)
			var answer struct {
				Allowed  *bool      `json:"allowed"`
				TenantID string     `json:"tenant_id"`
				AsOf     *time.Time `json:"as_of"`
			}
			require.NoError(t, json.Unmarshal(msg.Data, &answer))
			told := answer.AsOf != nil || answer.TenantID != ""
			require.Equal(t, told, len(msg.Header[contract.HeaderFeed]) > 0, "%v %s", msg.Header, msg.Data)
			if answer.Allowed != nil {
				break // it came through, and is no message of the feed
			}
		}
	}
	m.soon(t, m.Reader, 0, true)
	require.Equal(t, before.Since, m.client.LocalState().Since, "nothing disturbed it")
}
