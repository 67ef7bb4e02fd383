package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/buildify/core/pkg/contract"
)

func (c *checker) permissions() {
	seen := unique{c, "permission", map[string]string{}}
	for i, p := range c.m.Permissions {
		at := fmt.Sprintf("/permissions/%d/code", i)
		if c.ownCode(at, p.Code) {
			seen.add(at, p.Code)
		}
	}
}

// ownCode reports whether a code is the module's to define.
func (c *checker) ownCode(at, code string) bool {
	switch {
	case code == "" || c.m.ID == "" || c.isBroken("/id"):
		return false // and that has been found
	case !strings.HasPrefix(code, c.m.ID+":"):
		c.fail("namespace", at, "%s is not in the module's namespace: permissions begin with %s", quoted(code), quoted(c.m.ID+":"))
		return false
	case !contract.ValidPermission(code):
		c.fail("schema", at, "%s is no permission code: write 2 to 5 segments of a-z, 0-9, _ and -, separated by colons", quoted(code))
		return false
	}
	return true
}

// permission checks a code that something is shown by.
func (c *checker) permission(at, code string) {
	if code == "" || !c.ownCode(at, code) {
		return
	}
	var known []string
	for _, p := range c.m.Permissions {
		known = append(known, p.Code)
	}
	if !slices.Contains(known, code) {
		c.fail("reference", at, "%s is not among the permissions: define it there, or nobody can ever hold it%s", quoted(code), closest(code, known))
	}
}

// eventsScope begins the scopes that let a module hear events.
const eventsScope = "events:"

func (c *checker) scopes() {
	seen := unique{c, "scope", map[string]string{}}
	known := contract.ModuleOperations()
	for i, s := range c.m.Scopes {
		at := fmt.Sprintf("/scopes/%d/name", i)
		seen.add(at, s.Name)
		if pattern, ok := strings.CutPrefix(s.Name, eventsScope); ok {
			if !eventPattern.MatchString(pattern) {
				c.fail("scope", at, "%s is no type of events: write events:<module>.<entity>.<verb>, with * for one segment and ** at the end for all that follow", quoted(pattern))
			}
			continue
		}
		switch {
		case !slices.Contains(known, s.Name):
			c.fail("scope", at, "%s is no operation that a module may be granted%s", quoted(s.Name), cmp.Or(closest(s.Name, known), "; docs/manifest.md lists what there is"))
		case !slices.Contains(contract.ConsentScopes(), s.Name):
			c.note("scope", at, "%s needs no consent: every module may; it can be left out", quoted(s.Name))
		}
	}
}
