package chaos

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/tests/stack"
)

// follower reads a tenant's trail as it grows, over server-sent events, and
// goes on behind the last event that it has when it is cut.
type follower struct {
	url, token string
	client     *http.Client
	last       int64
	cuts       int
	wrong      []string
}

func newFollower(t *testing.T, v *visitor) *follower {
	t.Helper()
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetReadBuffer(8 << 10) // what it does not read is felt soon
		}
		return conn, err
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial}}
	t.Cleanup(client.CloseIdleConnections)
	return &follower{
		url: v.world.HTTPURL + contract.TailAudit.Path, client: client, token: v.load.company.Token(t, v.load.company.Admin),
	}
}

// read reads until done says so of an event's sequence, or it is cut.
func (f *follower) read(ctx context.Context, done func(int64) bool, before func()) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+f.token)
	request.Header.Set("Last-Event-ID", strconv.FormatInt(f.last, 10))
	response, err := f.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", response.Status)
	}
	stream, id, data := bufio.NewReader(response.Body), int64(0), false
	for {
		line, err := stream.ReadString('\n')
		if err != nil {
			return err
		}
		switch {
		case strings.HasPrefix(line, "id: "):
			id, _ = strconv.ParseInt(strings.TrimSpace(line[4:]), 10, 64)
		case strings.HasPrefix(line, "data: "):
			data = true
		case line == "\n" && data:
			if id != f.last+1 {
				f.wrong = append(f.wrong, fmt.Sprintf("%d came after %d", id, f.last))
			}
			if f.last, data = id, false; done(id) {
				return nil
			}
			before()
		}
	}
}

// readSlowly has a reader of the trail that takes nothing for a while: it is
// cut, and has everything once and in order when it comes back. In between the
// services that serve it are killed.
func readSlowly(t *testing.T, v *visitor) {
	f := newFollower(t, v)
	for n := range 400 {
		resource := fmt.Sprint("large-", n)
		v.load.note(v.load.logs, resource, attempt{writer: "large", n: n})
		logged, err := kit.Call(stack.Context(t), v.world.Core, contract.LogAudit, &contract.LogAuditRequest{
			UserID: contract.ID(v.load.company.Reader.ID), Action: chaosAction, ResourceType: "thing", ResourceID: contract.ID(resource),
			Details: []byte(`"` + strings.Repeat("x", 60_000) + `"`),
		})
		require.NoError(t, err)
		v.load.note(v.load.logs, resource, attempt{writer: "large", n: n, acked: true, id: logged.ID})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	ended := func() float64 { return metric(t, v.world.Processes["httpbridge"], "buildify_http_streams_ended_total") }
	before := ended()
	err := f.read(ctx, func(int64) bool { return false }, func() {
		if f.last == 20 { // takes nothing more
			require.Eventually(t, func() bool { return ended() > before }, patience, 50*time.Millisecond, "the bridge cuts who reads nothing")
		}
	})
	require.Error(t, err, "cut")
	for _, service := range []string{"audit", "rbac"} {
		v.world.Processes[service].Kill()
		v.killed++
		v.world.Processes[service].Start()
	}
	f.client = http.DefaultClient // no longer slow
	var head int64
	require.NoError(t, v.world.sql.QueryRow(ctx, "SELECT last_seq FROM audit.heads WHERE tenant_id = $1", v.load.company.Tenant.ID).Scan(&head))
	for f.last < head {
		if err := f.read(ctx, func(id int64) bool { return id >= head }, func() {}); err != nil {
			f.cuts++
			require.NoError(t, ctx.Err(), "%d of %d, cut %d times more: %v", f.last, head, f.cuts, err)
			<-time.After(50 * time.Millisecond)
		}
	}
	require.Empty(t, f.wrong, "each once, in order")
	t.Logf("the reader was cut, and %d times more; it has %d events", f.cuts, f.last)
}
