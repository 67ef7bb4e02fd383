package decision

import (
	"strings"

	"github.com/buildify/core/pkg/contract"
)

// concrete is contract.ValidPermission, and grantable contract.ValidGrant,
// without a regular expression.
func concrete(code string) bool { return wellFormed(code, false) }

func grantable(code string) bool { return wellFormed(code, true) }

func wellFormed(code string, wildcards bool) bool {
	if len(code) > 200 {
		return false
	}
	count := 0
	for more := true; more; count++ {
		var s string
		s, code, more = strings.Cut(code, ":")
		if !plain(s) && (!wildcards || s != "*" && (s != "**" || more)) {
			return false
		}
	}
	return count >= 2 && count <= 5
}

// plain reports whether s is a segment and no wildcard.
func plain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return s != ""
}

// matches reports whether a granted code matches a concrete one.
func matches(grant, code string) bool {
	for {
		g, grants, more := strings.Cut(grant, ":")
		if g == "**" {
			return true
		}
		c, codes, left := strings.Cut(code, ":")
		if g != "*" && g != c || more != left {
			return false
		}
		if !more {
			return true
		}
		grant, code = grants, codes
	}
}

// segments splits a granted code. A "**" that can stand for one segment only,
// because a code has five, is a "*".
func segments(grant string) []string {
	s := strings.Split(grant, ":")
	if len(s) == 5 && s[4] == "**" {
		s[4] = "*"
	}
	return s
}

// covers reports whether all that narrow matches is matched by wide.
func covers(wide, narrow string) bool {
	w, n := segments(wide), segments(narrow)
	for i := range w {
		switch {
		case i == len(n):
			return false
		case w[i] == "**":
			return true
		case n[i] == "**", w[i] != "*" && w[i] != n[i]:
			return false
		}
	}
	return len(w) == len(n)
}

// overlaps reports whether some code is matched by both.
func overlaps(one, other string) bool {
	a, b := segments(one), segments(other)
	for i := range a {
		switch {
		case i == len(b):
			return false
		case a[i] == "**" || b[i] == "**":
			return true
		case a[i] != "*" && b[i] != "*" && a[i] != b[i]:
			return false
		}
	}
	return len(a) == len(b)
}

// wildcard reports whether a granted code may match more than itself.
func wildcard(grant string) bool { return strings.Contains(grant, "*") }

// concerns reports whether a granted code may match a code of the namespace.
func concerns(grant, namespace string) bool {
	first := contract.PermissionNamespace(grant)
	return first == "*" || first == namespace
}
