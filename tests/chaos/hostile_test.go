package chaos

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/tests/stack"
)

// beHostile has a module try, with a client of its own making, to take the ids
// of messages before those whose they are, and to publish into the streams.
func beHostile(t *testing.T, v *visitor) {
	c := v.load.company
	var refused atomic.Int64
	nc, err := v.world.ModuleBus(t, c.APIKey, nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) { refused.Add(1) }))
	require.NoError(t, err)
	before := v.world.stream(t, events.AuditStream, "core.audit.events.>")
	taken := before[len(before)-1].dedup

	forged, err := json.Marshal(loggedData(v.load, "forged"))
	require.NoError(t, err)
	subjects := []string{
		events.AuditSubject(c.Tenant.ID, c.Module, chaosAction), events.PolicyChanged.Subject(c.Tenant.ID),
		"m." + c.KeyID + "." + events.AuditSubject(c.Tenant.ID, c.Module, chaosAction),
		"$JS.API.STREAM.PURGE.AUDIT", "$JS.API.STREAM.DELETE.AUDIT", "CORE.API.STREAM.PURGE.AUDIT", "$JS.API.CONSUMER.DELETE.AUDIT.audit_ingest",
		"$JS.ACK.AUDIT.audit_ingest.1.1.1.1.1",
	}
	for _, subject := range subjects {
		msg := nats.NewMsg(subject)
		msg.Header.Set(nats.MsgIdHdr, kit.NewID())
		for name, value := range map[string]string{"specversion": "1.0", "id": kit.NewID(), "type": loggedType, "source": "/x", "tenantid": c.Tenant.ID} {
			msg.Header["ce-"+name] = []string{value}
		}
		msg.Data = forged
		require.NoError(t, nc.PublishMsg(msg))
	}
	require.Eventually(t, func() bool { return refused.Load() >= int64(len(subjects)) }, stack.Timeout, 5*time.Millisecond, "every one is refused")

	// What it may call it calls with an id that is taken, over both transports,
	// and with a stream's subject to answer on.
	call := contract.LogAudit.Spec.ModuleSubject(c.KeyID)
	for n := range 6 {
		resource := fmt.Sprint("hostile-", n)
		body := []byte(`{"user_id":"` + c.Reader.ID + `","action":"` + chaosAction + `","resource_type":"thing","resource_id":"` + resource + `"}`)
		a := attempt{writer: "hostile", n: n}
		switch n % 3 {
		case 0:
			msg := nats.NewMsg(call)
			msg.Header.Set(nats.MsgIdHdr, taken)
			msg.Header.Set(nats.ExpectedLastSeqHdr, "1")
			msg.Data = body
			reply, err := nc.RequestMsgWithContext(stack.Context(t), msg)
			require.NoError(t, err)
			a.acked, a.id = true, idOf(t, reply.Data)
		case 1:
			request, err := http.NewRequestWithContext(stack.Context(t), http.MethodPost, v.world.HTTPURL+contract.LogAudit.Path, strings.NewReader(string(body)))
			require.NoError(t, err)
			request.Header.Set("Content-Type", "application/json")
			request.Header.Set(contract.HeaderAPIKey, c.APIKey)
			request.Header.Set(nats.MsgIdHdr, taken)
			out, problem := stack.Answer(t, request)
			require.Nil(t, problem)
			a.acked, a.id = true, idOf(t, out)
		default:
			require.NoError(t, nc.PublishRequest(call, events.AuditSubject(c.Tenant.ID, c.Module, chaosAction), body))
		}
		v.load.note(v.load.logs, resource, a)
	}
	require.NoError(t, nc.Flush())
	v.sometime(t)
}

func idOf(t *testing.T, answer []byte) string {
	t.Helper()
	var logged contract.LogAuditResponse
	require.NoError(t, json.Unmarshal(answer, &logged))
	require.Equal(t, "logged", logged.Status, "%s", answer)
	return logged.ID
}
