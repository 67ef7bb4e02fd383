package events

import (
	"regexp"
	"strings"
)

var named = regexp.MustCompile(`^dev\.buildify\.([a-z0-9_-]+\.[a-z0-9_-]+\.[a-z0-9_-]+)\.v[0-9]+$`)

// NameOf takes the name, such as "tenant.unit.changed", out of an event's type; ""
// is no type of the core's.
func NameOf(e Event) string {
	parts := named.FindStringSubmatch(e.Type())
	if parts == nil {
		return ""
	}
	return parts[1]
}

// Matches reports whether one of the patterns matches an event's name, such as
// "tenant.unit.changed": * stands for one segment, ** at the end for all that
// follow.
func Matches(patterns []string, name string) bool {
	segments := strings.Split(name, ".")
	for _, pattern := range patterns {
		if matches(strings.Split(pattern, "."), segments) {
			return true
		}
	}
	return false
}

func matches(pattern, segments []string) bool {
	for i, p := range pattern {
		switch {
		case p == "**" && i == len(pattern)-1:
			return len(segments) > i || i == 0
		case i >= len(segments) || p != "*" && p != segments[i]:
			return false
		}
	}
	return len(pattern) == len(segments)
}
