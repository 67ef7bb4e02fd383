package rbac

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
)

// applied tells modules of a step that the engine has taken: each one that the
// tenant has enabled, what it may see of it. It is called in the order of a
// tenant's revisions. A nil changes is a step that cannot be told.
func (s *Service) applied(tenant string, p *decision.Policy, changes []contract.PolicyChange) {
	seen := map[string]bool{}
	if s.sees(tenant) {
		for module := range p.Modules() {
			seen[module] = true
		}
	}
	back, enabled := false, ""
	for _, c := range changes {
		switch {
		case c.Tenant != nil:
			back = c.Tenant.Active
			if !back {
				for module := range p.Modules() {
					s.tell(module, contract.PolicyFeedMessage{TenantID: tenant, Revision: p.Revision(), Gone: true})
				}
				return
			}
		case c.Module != nil && c.Module.Enabled:
			enabled += " " + c.Module.Name + " "
		case c.Module != nil:
			s.tell(c.Module.Name, contract.PolicyFeedMessage{TenantID: tenant, Revision: p.Revision(), Gone: true})
		}
	}
	for module := range seen {
		message := contract.PolicyFeedMessage{TenantID: tenant, Revision: p.Revision()}
		if changes == nil || back || strings.Contains(enabled, " "+module+" ") {
			message.Reset = true
		} else if message.Changes, message.Reset = p.ForModule(changes, module); message.Reset {
			message.Changes = nil
		} else {
			message.Step = true
		}
		s.tell(module, message)
	}
}

// sees reports whether modules see a tenant at all.
func (s *Service) sees(tenant string) bool {
	t, ok := s.directory.Tenant(tenant)
	return ok && t.IsActive
}

// reset has modules take a tenant anew.
func (s *Service) reset(tenant string) {
	if p := s.app.Engine.Policy(tenant); p != nil {
		s.applied(tenant, p, nil)
	}
}

// beat repeats the revisions of the tenants that changed lately, and then says
// as of when everything has been told.
func (s *Service) beat(asOf time.Time, recent []string) {
	for _, tenant := range recent {
		p := s.app.Engine.Policy(tenant)
		if p == nil || !s.sees(tenant) {
			continue
		}
		for module := range p.Modules() {
			s.tell(module, contract.PolicyFeedMessage{TenantID: tenant, Revision: p.Revision()})
		}
	}
	for _, module := range s.directory.Modules() {
		s.tell(module, contract.PolicyFeedMessage{AsOf: &asOf})
	}
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
