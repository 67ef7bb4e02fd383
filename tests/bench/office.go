package main

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/casbin/casbin/v2"
	casbinmodel "github.com/casbin/casbin/v2/model"
	"github.com/google/uuid"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
)

// office is one tenant's policy, for the engine and for Casbin: 3 companies with
// 3 branches with 3 departments each, 70 roles, 100 users with 5 bindings, and
// one, who is asked about, with 50 roles, half of them bound to a unit.
type office struct {
	policy    *decision.Policy
	engine    *decision.Engine
	tenant    string
	casbin    *casbin.CachedEnforcer // with the one without a cache inside
	questions []officeQuestion
}

// officeQuestion is about a department. Casbin is told the units above it: it
// has no trees, and looking for them would be its caller's work.
type officeQuestion struct {
	decision.Question
	branch, company string
}

// officeModel is the fastest of the models that we tried: the permission is
// compared before roles are looked for.
const officeModel = `
[request_definition]
r = sub, act, department, branch, company
[policy_definition]
p = sub, act, eft
[role_definition]
g = _, _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = granted(r.act, p.act) && (g(r.sub, p.sub, "*") || g(r.sub, p.sub, r.department) || g(r.sub, p.sub, r.branch) || g(r.sub, p.sub, r.company))
`

type officeUnit struct{ id, branch, company string }

func newOffice() (*office, error) {
	random := rand.New(rand.NewPCG(7, 7))
	model, err := casbinmodel.NewModelFromString(officeModel)
	if err != nil {
		return nil, err
	}
	o := &office{engine: decision.NewEngine(), tenant: uuid.NewString()}
	if o.casbin, err = casbin.NewCachedEnforcer(model); err != nil {
		return nil, err
	}
	o.casbin.AddFunction("granted", func(arguments ...any) (any, error) {
		permission, _ := arguments[0].(string) // the model passes strings
		code, _ := arguments[1].(string)
		return granted(permission, code), nil
	})
	b := officeBuilder{random: random, enforcer: o.casbin.Enforcer}
	b.change(contract.PolicyChange{Tenant: &contract.PolicyTenant{Active: true}})
	for _, name := range []string{"crm", "financial", "stock"} {
		b.change(contract.PolicyChange{Module: &contract.PolicyModule{Name: name, Enabled: true}})
	}
	b.tree()
	for range 20 {
		b.role(b.codes()...)
	}
	for range 100 {
		user := uuid.NewString()
		for range 5 {
			b.bind(user, b.roles[random.IntN(20)], random.IntN(3) == 0)
		}
	}
	asked := uuid.NewString()
	for i := range 50 {
		decision.Declare(fmt.Sprintf("crm:thing%d:read", i), fmt.Sprintf("crm:thing%d:update", i)) // as modules do, with their manifests
		b.role(fmt.Sprintf("crm:thing%d:*", i), fmt.Sprintf("crm:other%d:read", i))
		b.bind(asked, b.roles[len(b.roles)-1], i%2 == 0)
	}
	if b.err != nil {
		return nil, b.err
	}
	decision.Declare("financial:accounts:read")
	o.policy = decision.New().Apply(1, b.changes)
	o.engine.Put(o.tenant, o.policy)
	for i := range 100 {
		unit := b.departments[random.IntN(len(b.departments))]
		code := fmt.Sprintf("crm:thing%d:read", i/2)
		if i%2 == 1 {
			code = "financial:accounts:read" // none of the 50 roles: all are looked at
		}
		o.questions = append(o.questions, officeQuestion{decision.Question{User: asked, Permission: code, Unit: unit.id}, unit.branch, unit.company})
	}
	return o, o.agree()
}

// agree holds that both give the same answers.
func (o *office) agree() error {
	for _, q := range o.questions {
		theirs, err := o.casbin.Enforcer.Enforce(q.forCasbin()...)
		if err != nil {
			return err
		}
		if ours := o.policy.Check(q.Question, nil); ours != theirs {
			return fmt.Errorf("casbin says %v where the engine says %v: %+v", theirs, ours, q)
		}
	}
	return nil
}

func (q officeQuestion) forCasbin() []any {
	return []any{q.User, q.Permission, q.Unit, q.branch, q.company}
}

// granted matches a permission with a granted code: "*" is one segment.
func granted(permission, code string) bool {
	for {
		want, restOfCode, more := strings.Cut(code, ":")
		have, rest, moreHave := strings.Cut(permission, ":")
		if (want != "*" && want != have) || more != moreHave {
			return false
		}
		if !more {
			return true
		}
		permission, code = rest, restOfCode
	}
}

// officeBuilder tells both of the policy.
type officeBuilder struct {
	random      *rand.Rand
	enforcer    *casbin.Enforcer
	changes     []contract.PolicyChange
	units       []string
	departments []officeUnit
	roles       []string
	err         error
}

func (b *officeBuilder) change(c contract.PolicyChange) { b.changes = append(b.changes, c) }

func (b *officeBuilder) tree() {
	for range 3 {
		company := b.unit("")
		for range 3 {
			branch := b.unit(company)
			for range 3 {
				b.departments = append(b.departments, officeUnit{b.unit(branch), branch, company})
			}
		}
	}
}

func (b *officeBuilder) unit(parent string) (id string) {
	id = uuid.NewString()
	b.units = append(b.units, id)
	b.change(contract.PolicyChange{Unit: &contract.PolicyUnit{ID: id, ParentID: parent}})
	return id
}

// codes are six of what modules declare.
func (b *officeBuilder) codes() (codes []string) {
	for range 6 {
		codes = append(codes, fmt.Sprintf("%s:%s:%s", pick(b.random, "crm", "financial", "stock"),
			pick(b.random, "accounts", "invoices", "orders", "reports"), pick(b.random, "read", "create", "update", "delete")))
	}
	return codes
}

func pick(random *rand.Rand, of ...string) string { return of[random.IntN(len(of))] }

func (b *officeBuilder) role(codes ...string) {
	id := uuid.NewString()
	b.roles = append(b.roles, id)
	b.change(contract.PolicyChange{Role: &contract.PolicyRole{ID: id, Name: id, Permissions: codes}})
	for _, code := range codes {
		if _, err := b.enforcer.AddPolicy(id, code, "allow"); err != nil {
			b.err = err
		}
	}
}

func (b *officeBuilder) bind(user, role string, inUnit bool) {
	binding := &contract.PolicyBinding{ID: uuid.NewString(), UserID: user, RoleID: role}
	scope := "*"
	if inUnit {
		binding.UnitID = b.units[b.random.IntN(len(b.units))]
		scope = binding.UnitID
	}
	b.change(contract.PolicyChange{Binding: binding})
	if _, err := b.enforcer.AddGroupingPolicy(user, role, scope); err != nil {
		b.err = err
	}
}
