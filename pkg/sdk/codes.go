package sdk

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/buildify/core/pkg/decision"
)

// maxCodes is how many permission codes are remembered. A module has dozens; who
// makes them up at run time loses nothing but some nanoseconds.
const maxCodes = 1024

// codes tells the module's own permission codes from everything else, and makes
// those that are asked about known to the engine, which then decides about them
// by number.
type codes struct {
	namespace string // with its colon
	known     atomic.Pointer[map[string]struct{}]
	mu        sync.Mutex
}

func newCodes(module string) *codes {
	c := &codes{namespace: module + ":"}
	c.known.Store(&map[string]struct{}{})
	return c
}

// own reports whether a code is a concrete permission of the module.
func (c *codes) own(code string) bool {
	if _, known := (*c.known.Load())[code]; known {
		return true
	}
	if !strings.HasPrefix(code, c.namespace) || !permissionCode(code) {
		return false
	}
	c.learn(code)
	return true
}

func (c *codes) learn(code string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := *c.known.Load()
	if len(known) >= maxCodes {
		return
	}
	code = strings.Clone(code) // it may be part of something large
	known = maps.Clone(known)
	known[code] = struct{}{}
	c.known.Store(&known)
	decision.Declare(code)
}

// permissionCode is contract.ValidPermission, in a tenth of the time.
func permissionCode(code string) bool {
	segments, length := 1, 0
	for i := range len(code) {
		switch b := code[i]; {
		case b == ':' && length > 0:
			segments, length = segments+1, 0
		case b >= 'a' && b <= 'z', b >= '0' && b <= '9', b == '_', b == '-':
			length++
		default:
			return false
		}
	}
	return length > 0 && segments >= 2 && segments <= 5 && len(code) <= 200
}
