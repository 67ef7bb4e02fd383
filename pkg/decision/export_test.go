package decision

// For the tests of package decision_test.
var (
	Concrete  = concrete
	Grantable = grantable
	Overlaps  = overlaps
)

// Pack gives the slots anew.
func Pack(p *Policy) *Policy { return p.pack() }

// Compiled is how many different roles the process holds.
func Compiled() int {
	compiled.Lock()
	defer compiled.Unlock()
	return len(compiled.byContent)
}

// HasWord reports whether a code is numbered.
func HasWord(code string) bool { return codes.find(code) != nil }

// HasNamespace reports whether a first segment is numbered.
func HasNamespace(name string) bool { return namespaces.find(name) != nil }

// Bits is for how many namespaces a policy has bits.
const Bits = bitted
