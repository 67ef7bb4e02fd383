package backbone

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/tests/stack"
)

func TestMain(m *testing.M) { stack.Main(m) }

func TestTheBridgeServesTheCatalogue(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	request, err := http.NewRequestWithContext(stack.Context(t), http.MethodGet, s.HTTPURL+"/api/v1/events/catalogue", nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	var catalogue struct {
		Items []events.Definition `json:"items"`
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&catalogue))
	require.Len(t, catalogue.Items, len(events.Catalogue()))
	require.NotEmpty(t, catalogue.Items[0].Schema)
}

// Many callers of audit.log share batches; each gets its own answer, and each
// event is in the trail once.
func TestManyCallersLogAtOnce(t *testing.T) {
	t.Parallel()
	s := stack.OneProcess(t)
	c := s.Company(t)
	const callers, each = 64, 5
	var all sync.WaitGroup
	var mu sync.Mutex
	ids, failures := map[string]bool{}, []error{}
	for caller := range callers {
		all.Go(func() {
			for i := range each {
				answer, err := kit.Call(stack.Context(t), s.Core, contract.LogAudit, &contract.LogAuditRequest{
					UserID: contract.ID(c.Admin.ID), Action: "many.logged", ResourceType: "x", ResourceID: contract.ID(fmt.Sprint(caller, "-", i)),
				})
				mu.Lock()
				if err != nil {
					failures = append(failures, err)
				} else {
					ids[answer.ID] = true
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	require.Empty(t, failures)
	require.Len(t, ids, callers*each)
	require.Eventually(t, func() bool {
		found := map[string]bool{}
		for cursor := ""; ; {
			page, err := kit.Call(stack.Context(t), s.Core, contract.ListAudit, &contract.ListAuditRequest{
				TenantID: contract.ID(c.Tenant.ID), Action: "many.logged", Limit: 100, Cursor: cursor,
			})
			if err != nil {
				return false
			}
			for _, item := range page.Items {
				require.False(t, found[item.ID], "twice")
				found[item.ID] = true
			}
			if cursor = page.NextCursor; cursor == "" {
				return len(found) == callers*each
			}
		}
	}, stack.Timeout, stack.Timeout/100)
}
