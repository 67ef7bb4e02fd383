package sdk

import (
	"context"
	"log/slog"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/sdk/internal/replica"
)

// DefaultMaxStaleness is how old a local decision may be when
// LocalDecisions.MaxStaleness is not set.
const DefaultMaxStaleness = 2 * time.Second

// LocalDecisions configures [WithLocalDecisions].
type LocalDecisions struct {
	// MaxStaleness bounds how old what decides may be: whatever the core
	// committed longer ago has been taken into account. Zero is
	// [DefaultMaxStaleness]. The core says every 250 ms that all has been told;
	// with less than 500 ms to spare for that, many questions will be asked
	// remotely.
	MaxStaleness time.Duration
}

// WithLocalDecisions makes the client answer [Client.Check], [Client.Decide] and
// [Client.CheckBatch], and with them [RequirePermission], in this process, from
// a copy of the policies that the core keeps fresh: in nanoseconds, and through
// moments in which the core is away.
//
// The API key must grant rbac.snapshot and rbac.feed. The copy holds what
// decides about the module's own permissions, in tenants that enabled it, and of
// people nothing but ids.
//
// Decided locally is what is certain: about one of the module's own permissions
// (they begin with its name and a colon), in a tenant named by [InTenant], for a
// user who has bindings or groups there, at a copy no older than MaxStaleness
// and no older than [AtLeast] asks. Everything else is asked of the core at
// once, and fails as remote calls fail; so does everything while the copy is
// taken, and while the stream of changes is cut, late or has a gap. The client
// comes back to deciding locally by itself. See [Client.LocalState].
func WithLocalDecisions(local LocalDecisions) Option {
	return func(o *options) { o.local = &local }
}

// LocalState is how local decisions are.
type LocalState struct {
	// Fresh says that questions are decided locally.
	Fresh bool
	// Tenants is how many tenants' policies are held.
	Tenants int
	// Age is how old the copy is at most; negative when that is not known.
	Age time.Duration
	// Since is when Fresh last changed.
	Since time.Time
	// Trouble is what last kept the client from deciding locally, nil when
	// nothing did yet. An [ErrPermissionDenied] means that the API key does not
	// grant it.
	Trouble error
}

// LocalState tells how local decisions are; without them it is zero.
func (c *Client) LocalState() LocalState {
	if c.local == nil {
		return LocalState{}
	}
	return LocalState(c.local.State())
}

// AwaitLocal returns once questions are decided locally, for a module that
// would rather start a moment later; it ends with an error when ctx does. It
// returns at once without local decisions.
func (c *Client) AwaitLocal(ctx context.Context) error {
	if c.local == nil {
		return nil
	}
	return c.local.Await(ctx)
}

func startLocal(transport Transport, o options) *replica.Replica {
	if o.local == nil {
		return nil
	}
	follower, ok := transport.(Follower)
	if !ok {
		o.log.Warn("no local decisions: the transport is no sdk.Follower")
		return nil
	}
	staleness := o.local.MaxStaleness
	if staleness <= 0 {
		staleness = DefaultMaxStaleness
	}
	return replica.Start(replica.Config{
		Core: source{transport, follower}, MaxStaleness: staleness, Log: o.log.With(slog.Duration("max_staleness", staleness)),
	})
}

// source lets a replica ask over the transport.
type source struct {
	transport Transport // without retries: the time of each try matters
	follower  Follower
}

func (s source) Snapshot(ctx context.Context, request *contract.PolicySnapshotRequest) (*contract.PolicySnapshotResponse, error) {
	return Call(ctx, s.transport, contract.PolicySnapshot, request)
}

func (s source) Follow(ctx context.Context, subjects []string, opened func(), handle func([]byte)) error {
	return s.follower.Follow(ctx, contract.PolicyFeed.Spec, subjects, opened, handle)
}

// decideLocally answers a question if the core would certainly give the same
// answer; ok is false when it must be asked. It does not allocate.
func (c *Client) decideLocally(a *about, q *decision.Question) (d Decision, ok bool) {
	if !a.wellFormed() {
		return Decision{}, false
	}
	p := c.local.Policy(a.tenant, a.atLeast)
	if p == nil {
		return Decision{}, false
	}
	allowed, ok := c.answer(p, q)
	return Decision{Allowed: allowed, Revision: p.Revision(), Local: true}, ok
}

// decideAllLocally answers all of the questions, or none.
func (c *Client) decideAllLocally(a *about, questions []Question) ([]bool, bool) {
	if !a.wellFormed() {
		return nil, false
	}
	p := c.local.Policy(a.tenant, a.atLeast)
	if p == nil {
		return nil, false
	}
	allowed := make([]bool, len(questions))
	for i := range questions {
		if questions[i].UnitID != "" && !uuid(questions[i].UnitID) {
			return nil, false
		}
		q := a.complete(&questions[i])
		yes, ok := c.answer(p, &q)
		if !ok {
			return nil, false
		}
		allowed[i] = yes
	}
	return allowed, true
}

// answer decides by the policy. Of a user whom it does not know the core may
// know more: a platform administrator has no bindings. And what is malformed is
// the core's to refuse.
func (c *Client) answer(p *decision.Policy, q *decision.Question) (allowed, ok bool) {
	if len(q.ResourceType) > 100 || len(q.ResourceID) > 200 || !c.codes.own(q.Permission) {
		return false, false
	}
	return p.Decide(q, c.clock)
}

// wellFormed reports whether the options name a tenant, and nothing that the
// core would refuse.
func (a *about) wellFormed() bool {
	return a.tenant != "" && a.atLeast >= 0 &&
		(a.company == "" || uuid(a.company)) && (a.branch == "" || uuid(a.branch)) && (a.department == "" || uuid(a.department))
}

func uuid(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i := range len(id) {
		switch b := id[i]; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if b != '-' {
				return false
			}
		case b >= '0' && b <= '9', b >= 'a' && b <= 'f', b >= 'A' && b <= 'F':
		default:
			return false
		}
	}
	return true
}
