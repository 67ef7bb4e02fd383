// Package alerts holds what is added to trails against the rules that tenants
// saved, and tells what they find.
package alerts

import (
	"cmp"
	"path"
	"slices"
	"time"

	"github.com/buildify/core/pkg/contract"
	"github.com/buildify/core/pkg/events"
)

// ownAction is that of the event which an alert raises. No alert counts it, lest
// one raises itself.
var ownAction = events.AlertRaised.Service + "." + events.AlertRaised.Entity + "." + events.AlertRaised.Verb

// entry is what rules look at of an event in a trail.
type entry struct {
	seq                                                           int64
	at                                                            time.Time
	action, outcome, source, user, resourceType, resourceID, from string
}

// completed is the rule with its defaults.
func completed(r contract.AlertRule) contract.AlertRule {
	r.Count, r.WindowSeconds, r.CoolDownSeconds = cmp.Or(r.Count, 1), cmp.Or(r.WindowSeconds, 300), cmp.Or(r.CoolDownSeconds, 300)
	r.Per = cmp.Or(r.Per, "tenant")
	return r
}

func window(r contract.AlertRule) time.Duration { return time.Duration(r.WindowSeconds) * time.Second }
func coolDown(r contract.AlertRule) time.Duration {
	return time.Duration(r.CoolDownSeconds) * time.Second
}

// counts reports whether the rule counts the event, and with whose.
func counts(r contract.AlertRule, e entry) (key string, ok bool) {
	is := func(wanted, got string) bool { return wanted == "" || wanted == got }
	switch {
	case e.action == ownAction,
		len(r.Actions) > 0 && !slices.ContainsFunc(r.Actions, func(pattern string) bool { return Matches(pattern, e.action) }),
		!is(r.Outcome, e.outcome), !is(r.Source, e.source), !is(string(r.UserID), e.user),
		!is(r.ResourceType, e.resourceType), !is(string(r.ResourceID), e.resourceID):
		return "", false
	}
	switch r.Per {
	case "actor":
		return e.user, e.user != ""
	case "address":
		return e.from, e.from != ""
	}
	return "", true
}

// Matches reports whether an action is what a pattern says, in which * stands
// for anything.
func Matches(pattern, action string) bool {
	ok, err := path.Match(pattern, action) // an action has no slash
	return err == nil && ok
}

// tally is what a rule has counted of one key.
//
//	counting ── Count events within the window ──▶ raised, quiet for the cool-down ──▶ counting anew
type tally struct {
	times []time.Time // of the last events, sorted, no more than Count
	quiet time.Time
}

// add counts an event that occurred at a time, and reports whether that raises
// the alert, with when the first of those that were counted occurred. Events that
// are told late count by when they occurred.
func (t *tally) add(r contract.AlertRule, at time.Time) (first time.Time, raised bool) {
	if at.Before(t.quiet) {
		return first, false
	}
	place, _ := slices.BinarySearchFunc(t.times, at, time.Time.Compare)
	t.times = slices.Insert(t.times, place, at)
	if len(t.times) > r.Count {
		t.times = t.times[1:]
	}
	first, last := t.times[0], t.times[len(t.times)-1]
	if len(t.times) < r.Count || last.Sub(first) > window(r) {
		return first, false
	}
	t.times, t.quiet = nil, last.Add(coolDown(r))
	return first, true
}
