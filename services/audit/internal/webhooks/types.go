package webhooks

import (
	"regexp"
	"strings"

	"github.com/buildify/core/pkg/events"
)

// eventType takes the name of an event, such as auth.user.changed, out of its
// CloudEvents type.
var eventType = regexp.MustCompile(`^dev\.buildify\.([a-z0-9_-]+\.[a-z0-9_-]+\.[a-z0-9_-]+)\.v[0-9]+$`)

// typeOf is the name of an event; what has none nobody hears.
func typeOf(e events.Event) (string, bool) {
	parts := eventType.FindStringSubmatch(e.Type())
	if parts == nil {
		return "", false
	}
	return parts[1], true
}

// wants reports whether one of the patterns matches the type: * stands for one
// segment, ** at the end for all that follow.
func wants(patterns []string, name string) bool {
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
