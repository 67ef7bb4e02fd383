package webhooks

import (
	"regexp"

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
