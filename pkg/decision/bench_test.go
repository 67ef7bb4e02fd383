package decision_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
)

// random ids, as those of the platform are.
func randomID(r *rand.Rand) string {
	a, b := r.Uint64(), r.Uint64()
	return fmt.Sprintf("%08x-%04x-7%03x-8%03x-%012x", uint32(a), uint16(a>>32), a>>52, b>>52, b&(1<<48-1))
}

func declared() (codes []string) {
	for _, module := range []string{"crm", "financial", "stock", "payroll", "projects"} {
		for _, thing := range []string{"accounts", "invoices", "orders", "people", "reports", "settings", "teams", "uploads"} {
			for _, verb := range []string{"read", "create", "update", "delete", "approve", "export"} {
				codes = append(codes, module+":"+thing+":"+verb)
			}
		}
	}
	return codes
}

// tenantOf has modules, a tree of 3 companies with 3 branches with 3
// departments, 20 roles, 10 groups, and users with bindings each.
func tenantOf(r *rand.Rand, users, bindings int, scoped bool) (changes []contract.PolicyChange, ids, units []string) {
	codes := declared()
	changes = append(changes, contract.PolicyChange{Tenant: &contract.PolicyTenant{Active: true}})
	for _, m := range []string{"crm", "financial", "stock"} {
		changes = append(changes, contract.PolicyChange{Module: &contract.PolicyModule{Name: m, Enabled: true}})
	}
	var parents []string
	for level := range 3 {
		var next []string
		for i := range []int{3, 9, 27}[level] {
			u := contract.PolicyUnit{ID: randomID(r)}
			if level > 0 {
				u.ParentID = parents[i/3]
			}
			next, units = append(next, u.ID), append(units, u.ID)
			changes = append(changes, contract.PolicyChange{Unit: &u})
		}
		parents = next
	}
	var roles []string
	for i := range 20 {
		role := contract.PolicyRole{ID: randomID(r), Name: fmt.Sprint("role-", i)}
		for range 6 {
			role.Permissions = append(role.Permissions, codes[(i*7+r.IntN(40))%len(codes)])
		}
		if i%4 == 0 {
			role.Permissions = append(role.Permissions, "stock:*:read", "projects:**")
		}
		roles = append(roles, role.ID)
		changes = append(changes, contract.PolicyChange{Role: &role})
	}
	for range users {
		user := randomID(r)
		ids = append(ids, user)
		for range bindings {
			b := &contract.PolicyBinding{ID: randomID(r), UserID: user, RoleID: roles[r.IntN(len(roles))]}
			if scoped && r.IntN(3) == 0 {
				b.UnitID = units[r.IntN(len(units))]
			}
			changes = append(changes, contract.PolicyChange{Binding: b})
		}
	}
	return changes, ids, units
}

// BenchmarkCheck asks an engine by ids as they come off the wire, again and again
// about the same 10 tenants, and about 1,000 in turn, of which little is in the
// processor's cache.
func BenchmarkCheck(b *testing.B) {
	decision.Declare(declared()...)
	r := rand.New(rand.NewPCG(1, 1))
	e := decision.NewEngine()
	var tenants []string
	var questions []decision.Question
	for range 1000 {
		tenant := randomID(r)
		changes, users, _ := tenantOf(r, 100, 5, false)
		e.Put(tenant, decision.New().Apply(1, changes))
		tenants = append(tenants, tenant)
		questions = append(questions, decision.Question{User: users[0], Permission: declared()[r.IntN(100)]})
	}
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprint(n, "-tenants"), func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				e.Policy(tenants[i]).Check(questions[i], nil)
				if i++; i == n {
					i = 0
				}
			}
		})
	}
}

// fiftyRoles is a user with 50 roles, half of them in units, none of which
// grants what is asked for: all must be looked at.
func fiftyRoles() (*decision.Policy, decision.Question) {
	decision.Declare(declared()...)
	r := rand.New(rand.NewPCG(2, 2))
	changes, _, units := tenantOf(r, 100, 5, true)
	user := randomID(r)
	for i := range 50 {
		role := &contract.PolicyRole{ID: randomID(r), Name: fmt.Sprint("own-", i), Permissions: []string{fmt.Sprintf("crm:thing%d:*", i), fmt.Sprintf("crm:other%d:read", i)}}
		binding := &contract.PolicyBinding{ID: randomID(r), UserID: user, RoleID: role.ID}
		if i%2 == 0 {
			binding.UnitID = units[r.IntN(len(units))]
		}
		if i == 48 { // elsewhere
			role.Permissions = append(role.Permissions, "financial:accounts:read")
			binding.UnitID = units[0]
		}
		changes = append(changes, contract.PolicyChange{Role: role}, contract.PolicyChange{Binding: binding})
	}
	return decision.New().Apply(1, changes), decision.Question{User: user, Permission: "financial:accounts:read", Unit: units[len(units)-1]}
}

func BenchmarkCheck50RolesScoped(b *testing.B) {
	p, q := fiftyRoles()
	if p.Check(q, nil) {
		b.Fatal("allowed")
	}
	b.ReportAllocs()
	for b.Loop() {
		p.Check(q, nil)
	}
}

func BenchmarkCheckUsers(b *testing.B) {
	decision.Declare(declared()...)
	for _, users := range []int{1e3, 1e5, 1e6} {
		b.Run(fmt.Sprintf("%.0e", float64(users)), func(b *testing.B) {
			p, ids, units := largeTenant(users)
			r := rand.New(rand.NewPCG(3, 3))
			for _, hot := range []int{1000, users} {
				questions := make([]decision.Question, hot)
				for i := range questions {
					// What is asked comes from a message, not from all over memory.
					questions[i] = decision.Question{User: strings.Clone(ids[r.IntN(users)]), Permission: declared()[r.IntN(100)], Unit: units[r.IntN(len(units))]}
				}
				name := "everybody"
				if hot < users || users == 1000 {
					name = "1000-of-them"
				}
				b.Run(name, func(b *testing.B) {
					i := 0
					for b.Loop() {
						p.Check(questions[i], nil)
						if i++; i == len(questions) {
							i = 0
						}
					}
				})
				if users == 1000 {
					return
				}
			}
		})
	}
}

// largeTenant is built in pages, so that the changes need no memory of their own.
func largeTenant(users int) (p *decision.Policy, ids, units []string) {
	r := rand.New(rand.NewPCG(4, 4))
	changes, _, units := tenantOf(r, 0, 0, true)
	p = decision.New().Apply(1, changes)
	var roles []string
	for _, c := range changes {
		if c.Role != nil {
			roles = append(roles, c.Role.ID)
		}
	}
	page := make([]contract.PolicyChange, 0, 100_000)
	for n := range users {
		user := randomID(r)
		ids = append(ids, user)
		for i := range 5 {
			b := &contract.PolicyBinding{ID: randomID(r), UserID: user, RoleID: roles[r.IntN(len(roles))]}
			if i < 2 {
				b.UnitID = units[r.IntN(len(units))]
			}
			page = append(page, contract.PolicyChange{Binding: b})
		}
		if len(page) == cap(page) || n == users-1 {
			p = p.Apply(1, page)
			page = page[:0]
		}
	}
	return p, ids, units
}

func BenchmarkApplyOne(b *testing.B) {
	for _, users := range []int{1e3, 1e6} {
		b.Run(fmt.Sprintf("%.0e", float64(users)), func(b *testing.B) {
			p, ids, units := largeTenant(users)
			r := rand.New(rand.NewPCG(5, 5))
			roles := []string{}
			changes, _ := p.Part("", 200, "")
			for _, c := range changes {
				if c.Role != nil {
					roles = append(roles, c.Role.ID)
				}
			}
			step := []contract.PolicyChange{{}}
			b.ReportAllocs()
			for b.Loop() {
				step[0].Binding = &contract.PolicyBinding{ID: randomID(r), UserID: ids[r.IntN(users)], RoleID: roles[r.IntN(len(roles))], UnitID: units[3]}
				p = p.Apply(p.Revision()+1, step)
			}
		})
	}
}

// BenchmarkLoad fills an engine with 1 million users in 10,000 tenants, 5
// bindings each, and tells the memory that is in use afterwards.
func BenchmarkLoad(b *testing.B) {
	decision.Declare(declared()...)
	for b.Loop() {
		b.StopTimer()
		r := rand.New(rand.NewPCG(6, 6))
		e := decision.NewEngine()
		before := inUse()
		var spent time.Duration
		for range 10_000 {
			changes, _, _ := tenantOf(r, 100, 5, true)
			b.StartTimer()
			start := time.Now()
			e.Put(randomID(r), decision.New().Apply(1, changes))
			spent += time.Since(start)
			b.StopTimer()
		}
		after := inUse()
		b.ReportMetric(float64(after-before)/1e6, "MB")
		b.ReportMetric(float64(after-before)/1e6, "B/user")
		b.ReportMetric(spent.Seconds(), "s/load")
		runtime.KeepAlive(e)
		b.StartTimer()
	}
}

func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
