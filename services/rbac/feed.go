package rbac

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
)

// applied tells modules of a step that the engine has taken, each what it may
// see of it. It is called in the order of a tenant's revisions. A nil changes is
// a step that cannot be told.
func (s *Service) applied(tenant string, p *decision.Policy, changes []contract.PolicyChange) {
	for module := range s.concerned(tenant, p, changes) {
		message := contract.PolicyFeedMessage{TenantID: tenant, Revision: p.Revision()}
		switch {
		case !s.serves(tenant, p, module):
			message.Gone = true
		case changes == nil || begins(changes, module):
			message.Reset = true
		default:
			message.Changes, message.Reset = p.ForModule(changes, module)
			if message.Step = !message.Reset; message.Reset {
				message.Changes = nil
			}
		}
		s.tell(module, message)
	}
}

// concerned are the modules that a step may concern: those that the tenant has
// enabled, and those that it gave up, in this step or, when it is not told, ever.
func (s *Service) concerned(tenant string, p *decision.Policy, changes []contract.PolicyChange) map[string]struct{} {
	modules := map[string]struct{}{}
	for module := range p.Modules() {
		modules[module] = struct{}{}
	}
	for _, c := range changes {
		if c.Module != nil {
			modules[c.Module.Name] = struct{}{}
		}
	}
	if changes == nil {
		for _, a := range s.directory.Activations(tenant) {
			modules[a.Module] = struct{}{}
		}
	}
	return modules
}

// serves reports whether the module may follow the tenant's policy.
func (s *Service) serves(tenant string, p *decision.Policy, module string) bool {
	return p.Serves(module) && s.directory.Activation(tenant, module).Permits(contract.PolicyFeed.Name)
}

// begins reports whether a step lets the module see the tenant.
func begins(changes []contract.PolicyChange, module string) bool {
	return slices.ContainsFunc(changes, func(c contract.PolicyChange) bool {
		return c.Tenant != nil || c.Module != nil && c.Module.Name == module
	})
}

// reset has modules take a tenant anew.
func (s *Service) reset(tenant string) {
	if p := s.app.Engine.Policy(tenant); p != nil {
		s.applied(tenant, p, nil)
	}
}

// beat repeats the revisions of the tenants that changed lately, and then says
// as of when everything has been told. It reports whether the bus has it.
func (s *Service) beat(asOf time.Time, recent []string) bool {
	for _, tenant := range recent {
		p := s.app.Engine.Policy(tenant)
		if p == nil {
			continue
		}
		for module := range s.concerned(tenant, p, nil) {
			s.tell(module, contract.PolicyFeedMessage{TenantID: tenant, Revision: p.Revision(), Gone: !s.serves(tenant, p, module)})
		}
	}
	for _, module := range s.directory.Modules() {
		s.tell(module, contract.PolicyFeedMessage{AsOf: &asOf})
	}
	return s.deps.NATS.IsConnected() && s.deps.NATS.FlushTimeout(flushTimeout) == nil
}

// tell publishes on a module's feed. It does not block.
func (s *Service) tell(module string, message contract.PolicyFeedMessage) {
	if !s.deps.NATS.IsConnected() {
		return // buffered, it would be told late
	}
	tenant := message.TenantID
	if tenant == "" {
		tenant = contract.FeedBeats
	}
	data, err := json.Marshal(message)
	if err == nil && len(data) > contract.MaxBody {
		data, err = json.Marshal(contract.PolicyFeedMessage{TenantID: tenant, Revision: message.Revision, Reset: true})
	}
	if err == nil {
		err = s.deps.NATS.PublishMsg(&nats.Msg{
			Subject: contract.FeedSubject(module, tenant), Data: data, Header: nats.Header{contract.HeaderFeed: {"1"}},
		})
	}
	if err != nil {
		s.deps.Telemetry.Log.Warn("rbac: module not told", "module", module, "error", err)
	}
}
