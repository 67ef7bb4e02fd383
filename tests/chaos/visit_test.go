package chaos

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/tests/stack"
)

// fault is a way to break things. begin breaks and heals, as often as it likes,
// while the load runs; when it returns all is whole again.
type fault struct {
	name string
	// apart: it has a platform of its own, which begin starts.
	apart bool
	begin func(t *testing.T, v *visitor)
}

// visitor is one visit of a fault.
type visitor struct {
	world *world
	load  *load
	draw  *rand.Rand
	round int
	short bool
	// killed counts the processes ended with SIGKILL.
	killed int
	// What the evidence is to know of it.
	poison, extra map[string]bool
	repeated      bool
}

// kills is how often a visit kills.
func (v *visitor) kills(times int) int {
	if v.short {
		return 1
	}
	return times
}

// visit lets a fault happen to a tenant of its own, and judges what is left.
func visit(t *testing.T, w *world, f fault, round int, all *report) {
	t.Run(f.name, func(t *testing.T) {
		begun := time.Now()
		v := &visitor{
			world: w, draw: drawFor(all.seed, fmt.Sprint(f.name, round)), round: round, short: long(t) == 0,
			poison: map[string]bool{}, extra: map[string]bool{},
		}
		if f.apart {
			f.begin(t, v) // it makes world and load
		} else {
			v.load = startLoad(t, w)
			v.load.progress(t, 20, 3)
			f.begin(t, v)
		}
		v.load.progress(t, 20, 3)
		v.load.finish()
		token := v.load.company.Token(t, v.load.company.Admin) // a login is an event too
		l := line{fault: f.name, kills: v.killed, settled: v.world.settle(t)}
		e := v.load.collect(t)
		v.load.prove(t, v.draw, e)
		var refused *contract.Error
		e.listed, refused = v.load.list(t, token)
		e.poison, e.extra, e.repeated = v.poison, v.extra, v.repeated
		var wrong []string
		l.figures, wrong = judge(e)
		if refused != nil {
			wrong = append(wrong, "audit.list refuses: "+refused.Error())
		}
		l.took, l.failed = time.Since(begun), len(wrong) > 0
		all.add(l)
		t.Logf("%s\n%v\nerrors: %v", header, l, e.errors)
		if len(wrong) > 0 {
			t.Errorf("CHAOS_SEED=%d: %d things are wrong, such as\n%s", all.seed, len(wrong), some(wrong))
		}
	})
}

func some(wrong []string) (text string) {
	for _, w := range wrong[:min(len(wrong), 12)] {
		text += "  " + w + "\n"
	}
	return text
}

// list reads the trail by the API.
func (l *load) list(t *testing.T, token string) (all []record, refused *contract.Error) {
	t.Helper()
	reader := stack.HTTPCaller{URL: l.world.HTTPURL, Bearer: token}
	for cursor := ""; ; {
		request, err := json.Marshal(contract.ListAuditRequest{Limit: 500, Cursor: cursor})
		require.NoError(t, err)
		out, refused := reader.Call(t, contract.ListAudit.Spec, string(request))
		if refused != nil {
			return nil, refused
		}
		var page contract.ListAuditResponse
		require.NoError(t, json.Unmarshal(out, &page))
		for _, item := range page.Items {
			all = append(all, record{Seq: item.Sequence, ID: item.ID, Action: item.Action, ResourceID: item.ResourceID})
		}
		if cursor = page.NextCursor; cursor == "" {
			slices.Reverse(all)
			return all, nil
		}
	}
}
