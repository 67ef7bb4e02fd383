package soak

import (
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/decision"
	"github.com/buildify/core/pkg/kit"
	"github.com/buildify/core/tests/stack"
)

// The modules: the first two decide locally, the third is only there.
var modules = []string{"alpha", "beta", "gamma"}

const (
	people = 10
	// steady is how many of them are never disabled or deleted.
	steady = 6
)

// tenant is one that is being changed all the time. The ids are those that were
// made so far; some of them are of what is no more.
type tenant struct {
	id string
	// shaky: it is suspended at times, and loses modules. In another one nobody
	// who asks about somebody steady may be told that there is no such user.
	shaky bool

	mu        sync.Mutex
	users     []string
	gone      []string // users that were deleted
	roles     []string
	groups    []string
	bindings  []string
	companies []string
	branches  []string
	lowest    []string // departments
	moved     int64    // the revision that the last change answered
}

func newTenant(t *testing.T, s *stack.Stack, shaky bool) *tenant {
	t.Helper()
	name := rand.Text()[:12]
	w := &tenant{shaky: shaky, id: stack.Do(t, s, contract.CreateTenant, &contract.CreateTenantRequest{Code: "T" + name, Name: name}).ID}
	for _, module := range modules {
		stack.Do(t, s, contract.SetTenantModule, &contract.SetTenantModuleRequest{TenantID: contract.ID(w.id), ModuleName: module, Enabled: true})
	}
	for range people {
		w.users = append(w.users, stack.Do(t, s, contract.CreateUser, newUser(w.id)).ID)
	}
	return w
}

// newUser is somebody who was invited: making one costs no hash.
func newUser(tenant string) *contract.CreateUserRequest {
	return &contract.CreateUserRequest{TenantID: contract.ID(tenant), Email: strings.ToLower(rand.Text()) + "@example.com"}
}

// isSteady reports whether everybody must always see the user.
func (w *tenant) isSteady(user string) bool {
	if w.shaky {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Index(w.users, user) < steady
}

// add notes that something was made.
func (w *tenant) add(to *[]string, id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*to = append(*to, id)
	if len(*to) > 200 {
		*to = slices.Clone((*to)[100:])
	}
}

// drop notes that something is no more.
func (w *tenant) drop(from *[]string, id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*from = slices.DeleteFunc(*from, func(other string) bool { return other == id })
}

// any is one of what was made, or an id that nobody knows.
func (w *tenant) any(r *mathrand.Rand, of *[]string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(*of) == 0 {
		return kit.NewID()
	}
	return (*of)[r.IntN(len(*of))]
}

func (w *tenant) size(of *[]string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(*of)
}

// unit is a unit of any kind.
func (w *tenant) unit(r *mathrand.Rand) string {
	return w.any(r, []*[]string{&w.companies, &w.branches, &w.lowest, &w.lowest}[r.IntN(4)])
}

// reach notes the revision that a change answered.
func (w *tenant) reach(revision int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.moved = max(w.moved, revision)
}

func (w *tenant) reached() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.moved
}

var (
	entities  = []string{"accounts", "invoices", "ledger"}
	verbs     = []string{"read", "write", "approve"}
	platforms = []string{"users:read:tenant", "roles:update:tenant", "bindings:create:tenant"}
	resources = []string{"invoice", "account"}
)

func one[T any](r *mathrand.Rand, of []T) T { return of[r.IntN(len(of))] }

// permission is a concrete code of a module, or in a few cases the platform's.
func permission(r *mathrand.Rand, module string) string {
	switch r.IntN(20) {
	case 0:
		return one(r, platforms)
	case 1:
		return one(r, modules) + ":" + one(r, entities) + ":" + one(r, verbs)
	case 2, 3:
		return module + ":" + one(r, entities) + ":lines:" + one(r, verbs)
	case 4:
		return module + ":" + one(r, verbs)
	}
	return module + ":" + one(r, entities) + ":" + one(r, verbs)
}

// grant is a code that a role may hold.
func grant(r *mathrand.Rand) string {
	module := one(r, modules)
	switch r.IntN(16) {
	case 0:
		return module + ":**"
	case 1:
		return "*:" + one(r, entities) + ":" + one(r, verbs)
	case 2:
		return "*:**"
	case 3, 4:
		return module + ":*:" + one(r, verbs)
	case 5, 6:
		return module + ":" + one(r, entities) + ":*"
	case 7:
		return module + ":" + one(r, entities) + ":**"
	case 8:
		return "*:" + one(r, entities) + ":**"
	case 9:
		return module + ":*:*:" + one(r, verbs)
	}
	return permission(r, module)
}

func grants(r *mathrand.Rand) (all []string) {
	for range 1 + r.IntN(5) {
		all = append(all, grant(r))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func resource(r *mathrand.Rand) (kind, id string) { return one(r, resources), fmt.Sprint(r.IntN(4)) }

// question is one about a tenant, as a module may ask it.
func (w *tenant) question(r *mathrand.Rand, module string) decision.Question {
	q := decision.Question{User: w.any(r, &w.users), Permission: permission(r, module)}
	if r.IntN(3) > 0 {
		q.Unit = w.unit(r)
	}
	if r.IntN(3) == 0 {
		q.ResourceType, q.ResourceID = resource(r)
	}
	return q
}
