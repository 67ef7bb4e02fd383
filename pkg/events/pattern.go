package events

import "strings"

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
