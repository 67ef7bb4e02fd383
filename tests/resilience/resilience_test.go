// Package resilience breaks the core's processes and holds it to its promises.
package resilience

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/tests/stack"
)

func TestMain(m *testing.M) { stack.Main(m) }

func TestAcknowledgedAuditEventsSurviveKillsAndArriveOnce(t *testing.T) {
	t.Parallel()
	s := stack.Processes(t)
	c := s.Company(t)
	module := stack.HTTPCaller{URL: s.HTTPURL, APIKey: c.APIKey}

	// Four writers, while the audit service is killed again and again.
	var mu sync.Mutex
	acked := map[string]bool{}
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for writer := range 4 {
		writers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				out, refused := module.Call(t, contract.LogAudit.Spec, fmt.Sprintf(
					`{"user_id":"%s","action":"kill.test","resource_type":"x","resource_id":"%d-%d"}`, c.Reader.ID, writer, n))
				if refused != nil {
					if refused.Code != contract.Unavailable && refused.Code != contract.DeadlineExceeded {
						t.Errorf("refused: %v", refused)
					}
					continue
				}
				var logged contract.LogAuditResponse
				if json.Unmarshal(out, &logged) == nil {
					mu.Lock()
					acked[logged.ID] = true
					mu.Unlock()
				}
			}
		})
	}
	written := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(acked)
	}
	for range 4 {
		before := written()
		require.Eventually(t, func() bool { return written() >= before+50 }, stack.Timeout, time.Millisecond)
		s.Processes["audit"].Kill()
		s.Processes["audit"].Start()
	}
	close(stop)
	writers.Wait()

	stored := map[string]int{}
	require.Eventually(t, func() bool {
		clear(stored)
		for _, item := range trail(t, s, c, "kill.test") {
			stored[item.ID]++
		}
		for id := range acked {
			if stored[id] == 0 {
				return false
			}
		}
		return true
	}, 2*stack.Timeout, 50*time.Millisecond, "every acknowledged event is in the trail")
	duplicates := 0
	for _, times := range stored {
		duplicates += times - 1
	}
	t.Logf("acked %d, present %d, duplicates %d", len(acked), len(stored), duplicates)
	require.Zero(t, duplicates)
	all := trail(t, s, c, "")
	for i, item := range all {
		require.EqualValues(t, len(all)-i, item.Sequence, "the sequence has no gap")
	}
}

// trail reads a company's whole audit trail, newest first.
func trail(t *testing.T, s *stack.Stack, c *stack.Company, action string) []contract.AuditEvent {
	t.Helper()
	reader := stack.HTTPCaller{URL: s.HTTPURL, Bearer: c.Token(t, c.Admin)}
	var all []contract.AuditEvent
	filter, cursor := "", ""
	if action != "" {
		filter = `,"action":"` + action + `"`
	}
	for {
		out, refused := reader.Call(t, contract.ListAudit.Spec, `{"limit":500`+filter+cursor+`}`)
		require.Nil(t, refused)
		var page contract.ListAuditResponse
		require.NoError(t, json.Unmarshal(out, &page))
		all = append(all, page.Items...)
		if page.NextCursor == "" {
			return all
		}
		cursor = `,"cursor":"` + page.NextCursor + `"`
	}
}

func TestAServiceThatIsDownIsToldAndItsReturnNeedsNoHands(t *testing.T) {
	t.Parallel()
	s := stack.Processes(t)
	c := s.Company(t)
	check := `{"user_id":"` + c.Reader.ID + `","permission":"` + c.Module + `:accounts:read"}`
	callers := s.Callers(t, c)
	for name, p := range s.Processes {
		for _, path := range []string{"/readyz", "/healthz", "/metrics"} {
			response, err := http.Get(p.OpsURL + path)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, http.StatusOK, response.StatusCode, name+path)
		}
	}
	s.Processes["rbac"].Kill()

	request, err := http.NewRequestWithContext(stack.Context(t), http.MethodPost, s.HTTPURL+contract.CheckPermission.Path, strings.NewReader(check))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(contract.HeaderAPIKey, c.APIKey)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusServiceUnavailable, response.StatusCode)
	require.NotEmpty(t, response.Header.Get("Retry-After"))
	ready, err := http.Get(s.HTTPURL + "/readyz")
	require.NoError(t, err)
	require.NoError(t, ready.Body.Close())
	require.Equal(t, http.StatusServiceUnavailable, ready.StatusCode)
	// An administrator's reading needs rbac: it is refused, not let through.
	_, refused := stack.HTTPCaller{URL: s.HTTPURL, Bearer: c.Token(t, c.Admin)}.Call(t, contract.ListAudit.Spec, "{}")
	require.NotNil(t, refused)
	require.Equal(t, contract.Unavailable, refused.Code)

	s.Processes["rbac"].Start()
	for _, caller := range callers {
		out, refused := caller.Call(t, contract.CheckPermission.Spec, check)
		require.Nil(t, refused)
		require.Contains(t, string(out), `"allowed":true`)
	}
}

func TestCommittedChangesArriveAsEventsAcrossAKill(t *testing.T) {
	t.Parallel()
	s := stack.Processes(t)
	c := s.Company(t)
	// The kill comes right after the answer: what the outbox still holds then
	// is published by the next process.
	var last int64
	for i := range 10 {
		last = c.PutRole(t, fmt.Sprintf("role%d", i), c.Module+":a:b").Revision
		if i%5 == 4 {
			s.Processes["rbac"].Kill()
			s.Processes["rbac"].Start()
		}
	}
	js, err := jetstream.New(s.Operator)
	require.NoError(t, err)
	seen := map[string]bool{}
	var mu sync.Mutex
	consumer, err := js.OrderedConsumer(stack.Context(t), events.EventsStream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{events.PolicyChanged.Subject(c.Tenant.ID)},
	})
	require.NoError(t, err)
	consume, err := consumer.Consume(func(msg jetstream.Msg) {
		e, err := events.Decode(msg.Headers(), msg.Data())
		if err != nil || !events.PolicyChanged.Is(e) {
			t.Errorf("not the event expected: %v %v", e, err)
		}
		mu.Lock()
		defer mu.Unlock()
		seen[events.Extension(e, events.Revision)] = true
	})
	require.NoError(t, err)
	defer consume.Stop()
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		for revision := range last { // from the company's own first on
			if !seen[fmt.Sprint(revision+1)] {
				return false
			}
		}
		return true
	}, stack.Timeout, 5*time.Millisecond)
}
