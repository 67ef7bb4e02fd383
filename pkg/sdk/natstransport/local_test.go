package natstransport_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/sdk"
	"github.com/buildify/core/pkg/sdk/internal/coretest"
	"github.com/buildify/core/pkg/sdk/internal/localtest"
)

// serveCore answers for a core, and tells what it tells.
func (s *server) serveCore(t *testing.T, core *coretest.Core) {
	s.answer = func(c *conn, r request) {
		_, operation, _ := strings.Cut(r.subject, ".core.")
		switch operation {
		case contract.PolicySnapshot.Name:
			var request contract.PolicySnapshotRequest
			if err := json.Unmarshal([]byte(r.body), &request); err != nil {
				t.Error(err)
			}
			answer, err := core.Snapshot(t.Context(), &request)
			if err != nil {
				body, _ := json.Marshal(err)
				c.reply(r, fmt.Sprintf("%s: x\r\n", contract.HeaderErrorCode), string(body))
				return
			}
			body, _ := json.Marshal(answer)
			c.reply(r, "", string(body))
		default:
			c.reply(r, "", fmt.Sprintf(`{"allowed":true,"revision":%d}`, localtest.RemoteRevision))
		}
	}
	t.Cleanup(core.Listen(func(tenant string, message []byte) {
		s.publish(contract.FeedSubject(core.Module, tenant), feedHeader, string(message))
	}))
}

func TestLocalDecisionsOverTheBus(t *testing.T) {
	t.Parallel()
	s, core := newServer(t), localtest.NewCore(t)
	s.serveCore(t, core)
	client, err := sdk.New(t.Context(), sdk.Config{NATSURL: s.url(), APIKey: key}, sdk.WithLocalDecisions(sdk.LocalDecisions{}))
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Close() })
	localtest.Play(t, core, client, s.kick, func() bool { return s.subscriptions() == 0 })
}
