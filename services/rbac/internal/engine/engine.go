// Package engine decides permissions in memory: one immutable compiled policy
// per tenant, replaced as a whole when the tenant's revision grows.
package engine

import (
	"slices"
	"strings"
	"sync"
)

// Role is a role as stored: granted codes under a name.
type Role struct {
	Name        string
	Permissions []string
}

// Binding gives a user a role.
type Binding struct{ User, Role string }

// Policy is a tenant's compiled roles and bindings at one revision. It is
// immutable, so any number of goroutines may ask it.
type Policy struct {
	Revision int64
	users    map[string][]*role
}

type role struct {
	exact    map[string]struct{}
	patterns [][]string // the segments of codes with wildcards
	codes    []string
}

// Compile builds a Policy. Bindings to roles that do not exist give nothing.
func Compile(revision int64, roles []Role, bindings []Binding) *Policy {
	compiled := make(map[string]*role, len(roles))
	for _, r := range roles {
		c := &role{exact: make(map[string]struct{}, len(r.Permissions)), codes: r.Permissions}
		for _, code := range r.Permissions {
			if strings.Contains(code, "*") {
				c.patterns = append(c.patterns, strings.Split(code, ":"))
			} else {
				c.exact[code] = struct{}{}
			}
		}
		compiled[r.Name] = c
	}
	p := &Policy{Revision: revision, users: make(map[string][]*role)}
	for _, b := range bindings {
		if r, ok := compiled[b.Role]; ok {
			p.users[b.User] = append(p.users[b.User], r)
		}
	}
	return p
}

// Allowed reports whether the user holds the concrete permission code.
func (p *Policy) Allowed(user, permission string) bool {
	for _, r := range p.users[user] {
		if _, ok := r.exact[permission]; ok {
			return true
		}
		for _, pattern := range r.patterns {
			if matches(pattern, permission) {
				return true
			}
		}
	}
	return false
}

// matches holds a concrete code against a pattern: "*" is one segment, a last
// "**" is one or more.
func matches(pattern []string, code string) bool {
	for i, want := range pattern {
		if want == "**" && i == len(pattern)-1 {
			return code != ""
		}
		segment, rest, more := strings.Cut(code, ":")
		if segment == "" || (want != "*" && want != segment) {
			return false
		}
		if last := i == len(pattern)-1; last == more {
			return false
		}
		code = rest
	}
	return true
}

// Permissions returns the codes granted to the user, sorted, each once.
func (p *Policy) Permissions(user string) []string {
	codes := []string{}
	for _, r := range p.users[user] {
		codes = append(codes, r.codes...)
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// Engine holds the policies of all tenants. It is safe for concurrent use.
type Engine struct {
	mu       sync.RWMutex
	policies map[string]*Policy
}

// New returns an Engine without policies: it denies everything.
func New() *Engine { return &Engine{policies: map[string]*Policy{}} }

var none = &Policy{}

// Policy returns a tenant's policy; one that denies everything, at revision 0,
// if the tenant has none.
func (e *Engine) Policy(tenant string) *Policy {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if p, ok := e.policies[tenant]; ok {
		return p
	}
	return none
}

// Put takes a tenant's policy in, unless a newer one is there.
func (e *Engine) Put(tenant string, p *Policy) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if old, ok := e.policies[tenant]; !ok || p.Revision > old.Revision {
		e.policies[tenant] = p
	}
}
