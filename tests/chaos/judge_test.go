package chaos

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/buildify/core/pkg/events"
)

// figures count a visit.
type figures struct {
	sent, acked int
	// present are the acknowledged events that the trail has.
	present int
	// duplicates are records too many: of an event, or of a try.
	duplicates int
	// unackedPresent were recorded though nobody was told so, which is fine.
	unackedPresent int
	// rows were made, by the services' tables, and rowEvents are the trail's
	// records of that.
	rows, rowEvents int
	// trail is how many records there are.
	trail int
	// reordered are records that stand before one that was published earlier of
	// the same aggregate.
	reordered int
}

func (f *figures) add(o figures) {
	f.sent += o.sent
	f.acked += o.acked
	f.present += o.present
	f.duplicates += o.duplicates
	f.unackedPresent += o.unackedPresent
	f.rows += o.rows
	f.rowEvents += o.rowEvents
	f.trail += o.trail
	f.reordered += o.reordered
}

// judge holds the evidence to the promises and returns what is wrong.
func judge(e *evidence) (f figures, wrong []string) {
	v := &verdict{evidence: e}
	for _, step := range []func(){v.answers, v.sequence, v.logs, v.domain, v.revisions, v.streamed, v.deadLetters, v.listed, v.tree, v.signed} {
		step()
	}
	return v.figures, v.wrong
}

// verdict is one in the making.
type verdict struct {
	*evidence
	figures
	wrong []string
}

func (v *verdict) say(format string, args ...any) {
	v.wrong = append(v.wrong, fmt.Sprintf(format, args...))
}

// answers: whoever is refused is told that the platform is unavailable or too
// slow, and nothing else.
func (v *verdict) answers() {
	for what, times := range v.errors {
		if !strings.HasSuffix(what, " unavailable") && !strings.HasSuffix(what, " deadline_exceeded") {
			v.say("%d times refused for no good reason: %s", times, what)
		}
	}
}

// sequence: the records have the numbers 1 to what the head says, and no two
// are of one event or of one message.
func (v *verdict) sequence() {
	v.figures.trail = len(v.evidence.trail)
	ids, messages := map[string]int64{}, map[string]int64{}
	for i, r := range v.evidence.trail {
		if r.Seq != int64(i+1) {
			v.say("the sequence has %d where %d belongs", r.Seq, i+1)
			break
		}
	}
	for _, r := range v.evidence.trail {
		if first, again := ids[r.Stream+r.ID]; again {
			v.duplicates++
			v.say("event %s stands at %d and at %d", r.ID, first, r.Seq)
		} else if first, again := messages[r.Message]; again {
			v.duplicates++
			v.say("message %s stands at %d and at %d", r.Message, first, r.Seq)
		}
		ids[r.Stream+r.ID], messages[r.Message] = r.Seq, r.Seq
	}
	if v.lastSeq != int64(len(v.evidence.trail)) {
		v.say("the head is at %d, the trail has %d records", v.lastSeq, len(v.evidence.trail))
	}
	for _, gap := range v.gaps {
		v.say("a trail with gaps: tenant %s", gap)
	}
}

// logs: what was acknowledged is there once, as it was sent; what was not is
// there once at most; nothing is there that nobody sent. A writer waits for
// each answer, so its records stand in the order of its tries.
func (v *verdict) logs() {
	by := map[string][]record{}
	last := map[string]int{}
	for _, r := range v.evidence.trail {
		if r.Action != chaosAction {
			continue
		}
		by[r.ResourceID] = append(by[r.ResourceID], r)
		a, known := v.evidence.logs[r.ResourceID]
		if !known {
			if !v.extra[r.ID] {
				v.say("nobody logged what stands at %d: %s", r.Seq, r.ResourceID)
			}
			continue
		}
		if a.n < last[a.writer] {
			v.reordered++
		}
		last[a.writer] = max(last[a.writer], a.n)
	}
	for resource, a := range v.evidence.logs {
		v.sent++
		stored := by[resource]
		if len(stored) > 1 {
			v.duplicates += len(stored) - 1
			v.say("%s, acknowledged %v, stands %d times", resource, a.acked, len(stored))
		}
		if !a.acked {
			v.unackedPresent += len(stored)
			continue
		}
		v.acked++
		switch {
		case len(stored) == 0:
			v.say("acknowledged and not there: %s, event %s", resource, a.id)
		case stored[0].ID != a.id || stored[0].ResourceType != "thing":
			v.say("%s was acknowledged as event %s and stands as %+v", resource, a.id, stored[0])
		default:
			v.present++
		}
	}
}

// domain: each row that is there has the event of its making in the trail, once;
// each such event has its row; what was acknowledged is there.
func (v *verdict) domain() {
	made := map[string]int{}
	for _, r := range v.evidence.trail {
		if kind, id := r.made(); kind != "" {
			v.rowEvents++
			if _, there := v.tables[kind][id]; !there {
				v.say("the trail has a %s that there is not: %s", kind, id)
			}
			made[kind+" "+id]++
		}
	}
	for kind, rows := range v.tables {
		for id := range rows {
			v.figures.rows++
			if n := made[kind+" "+id]; n != 1 {
				v.duplicates += max(n-1, 0)
				v.say("the %s %s has %d events in the trail", kind, id, n)
			}
		}
	}
	names := map[string]bool{}
	for kind, rows := range v.tables {
		for _, name := range rows {
			if names[kind+" "+name] {
				v.say("made twice: %s %s", kind, name)
			}
			names[kind+" "+name] = true
		}
	}
	for key, a := range v.evidence.rows {
		kind, _, _ := strings.Cut(key, " ")
		if _, there := v.tables[kind][a.id]; a.acked && !there {
			v.say("acknowledged and not there: %s", key)
		}
	}
}

// revisions: every step of the tenant's policy is in the trail once, and the
// stream has them in their order.
func (v *verdict) revisions() {
	times := map[int64]int{}
	last := int64(0)
	for _, r := range v.evidence.trail {
		var step events.PolicyStep
		if r.Action == "rbac.policy.changed" && json.Unmarshal([]byte(r.Data), &step) == nil {
			times[step.Revision]++
			if step.Revision < last {
				v.reordered++
			}
			last = max(last, step.Revision)
		}
	}
	for revision := int64(1); revision <= v.revision; revision++ {
		if times[revision] != 1 {
			v.say("revision %d of the policy stands %d times in the trail", revision, times[revision])
		}
	}
	if len(times) > int(v.revision) {
		v.say("the trail has revisions of the policy after %d", v.revision)
	}
	last = 0
	for _, m := range v.streams {
		if m.event == nil || v.repeated || !strings.HasSuffix(m.subject, ".rbac.policy.changed") {
			continue
		}
		step, err := events.Data[events.PolicyStep](*m.event)
		if err != nil || step.Revision < last {
			v.say("the stream has revision %d of the policy after %d (%v)", step.Revision, last, err)
		}
		last = step.Revision
	}
}

// streamed: trail and streams have the same events.
func (v *verdict) streamed() {
	kept := map[string]bool{}
	for _, r := range v.evidence.trail {
		kept[r.Stream+r.ID] = true
	}
	dead := map[string]bool{}
	for _, l := range v.letters {
		dead[fmt.Sprint(l.Stream, l.Seq)] = true
	}
	published := map[string]bool{}
	for _, m := range v.streams {
		published[m.stream+m.id] = true
		if !kept[m.stream+m.id] && !dead[fmt.Sprint(m.stream, m.seq)] {
			v.say("message %d of stream %s, %s, is neither in the trail nor a dead letter", m.seq, m.stream, m.subject)
		}
	}
	for _, r := range v.evidence.trail {
		if !published[r.Stream+r.ID] {
			v.say("what stands at %d was never published: %s %s", r.Seq, r.Action, r.ID)
		}
	}
}

// deadLetters: what was malformed is kept, and nothing else is taken for it.
func (v *verdict) deadLetters() {
	had := map[string]int{}
	for _, l := range v.letters {
		had[l.Dedup]++
		if !v.poison[l.Dedup] && strings.HasPrefix(l.Dedup, poisonPrefix) {
			continue // an earlier visit's
		}
		if !v.poison[l.Dedup] {
			v.say("a dead letter that was no poison: message %d of %s, %s", l.Seq, l.Stream, l.Subject)
		}
	}
	for id := range v.poison {
		if had[id] != 1 {
			v.say("poison %s is %d times a dead letter", id, had[id])
		}
	}
}

// listed: the API gives the trail as the database has it.
func (v *verdict) listed() {
	if v.evidence.listed == nil {
		return
	}
	same := slices.EqualFunc(v.evidence.listed, v.evidence.trail, func(a, b record) bool {
		return a.Seq == b.Seq && a.ID == b.ID && a.Action == b.Action && a.ResourceID == b.ResourceID
	})
	if !same {
		v.say("audit.list gives %d records, other than the %d of the trail", len(v.evidence.listed), len(v.evidence.trail))
	}
}
