package replica

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/buildify/core/pkg/contract"
)

func part(revision int64, more bool) *contract.PolicyPart {
	return &contract.PolicyPart{Revision: revision, More: more}
}

func TestPartsAreAPolicyOnceTheStepsBetweenThemAreIn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		play func(*tenant)
		want int64 // the revision that is visible, 0 for none
	}{
		"one part":                    {func(t *tenant) { t.part(part(5, false), true) }, 5},
		"not all parts":               {func(t *tenant) { t.part(part(5, true), true) }, 0},
		"a later part needs the step": {func(t *tenant) { t.part(part(5, true), true); t.part(part(6, false), false) }, 0},
		"and has it":                  {func(t *tenant) { t.step(6, nil); t.part(part(5, true), true); t.part(part(6, false), false) }, 6},
		"or gets it":                  {func(t *tenant) { t.part(part(5, true), true); t.part(part(6, false), false); t.step(6, nil) }, 6},
		"an older part, too":          {func(t *tenant) { t.part(part(6, true), true); t.part(part(5, false), false) }, 0},
		"older than what was heard":   {func(t *tenant) { t.repeat(7); t.part(part(6, false), true) }, 0},
		"what waited is applied":      {func(t *tenant) { t.step(7, nil); t.step(8, nil); t.part(part(6, false), true) }, 8},
		"given up in the middle":      {func(t *tenant) { t.part(part(5, true), true); t.startOver(6); t.part(part(6, false), false) }, 0},
		"gone in the middle":          {func(t *tenant) { t.part(part(5, true), true); t.leave(6); t.part(part(5, false), false) }, 0},
		"gone and back in the middle": {func(t *tenant) {
			t.part(part(5, true), true)
			t.leave(6)
			t.startOver(7)
			t.part(part(7, false), false)
		}, 0},
		"gone, as a slower replica sees":  {func(t *tenant) { t.leave(6); t.part(part(5, false), true) }, 0},
		"back, as a slower replica sees":  {func(t *tenant) { t.part(part(7, false), true); t.leave(6) }, 7},
		"back before it is told":          {func(t *tenant) { t.leave(6); t.part(part(7, false), true) }, 7},
		"reset to what is held":           {func(t *tenant) { t.part(part(7, false), true); t.startOver(7) }, 0},
		"reset to what is past":           {func(t *tenant) { t.part(part(7, false), true); t.startOver(6) }, 7},
		"reset that is repeated":          {func(t *tenant) { t.startOver(7); t.part(part(7, false), true); t.startOver(7) }, 7},
		"reset to nobody knows what":      {func(t *tenant) { t.part(part(7, false), true); t.startOver(0) }, 0},
		"a part of somebody else's pages": {func(t *tenant) { t.part(part(7, false), true); t.part(part(6, false), true) }, 7},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var tenant tenant
			c.play(&tenant)
			var visible int64
			if p := tenant.visible.Load(); p != nil {
				visible = p.Revision()
			}
			assert.Equal(t, c.want, visible)
		})
	}
}

func TestStepsThatWaitAreBounded(t *testing.T) {
	t.Parallel()
	var tenant tenant
	for revision := int64(1); revision <= 2*maxSteps; revision++ {
		tenant.step(revision, nil)
	}
	assert.Len(t, tenant.steps, maxSteps)
	tenant.part(part(maxSteps, false), true)
	assert.EqualValues(t, 2*maxSteps, tenant.visible.Load().Revision())
	assert.Empty(t, tenant.steps)
}

// While a machine is suspended its monotonic clock stands still, and the other
// one goes on.
func TestALeaseEndsByEitherClock(t *testing.T) {
	t.Parallel()
	now := time.Now()
	assert.True(t, (&lease{until: time.Hour, wall: now.UnixNano() + 1}).holds(now, now))
	assert.False(t, (&lease{until: time.Hour, wall: now.UnixNano()}).holds(now, now))
	assert.False(t, (&lease{until: 0, wall: now.UnixNano() + 1}).holds(now, now))
	assert.False(t, (*lease)(nil).holds(now, now))
}

func TestTheCoresClockIsNeverAheadOfItsEstimate(t *testing.T) {
	t.Parallel()
	now := time.Now()
	core := now.Add(-time.Hour).Round(0)
	var c clock
	_, known := c.latest(now, now)
	assert.False(t, known)
	c.add(sample{now.Add(-3 * time.Second), core}) // read just now, after a long way there
	latest, known := c.latest(now, now)
	assert.True(t, known)
	assert.Equal(t, core.Add(3*time.Second+3*time.Millisecond), latest)
	c.add(sample{now.Add(-time.Millisecond), core})
	latest, _ = c.latest(now, now)
	assert.Equal(t, core.Add(time.Millisecond+time.Microsecond), latest, "the best sample counts")
	_, known = c.latest(now, now.Add(sampleLife))
	assert.False(t, known, "none is believed for ever")
	for range 100 {
		c.add(sample{now, core})
	}
	assert.LessOrEqual(t, len(c.samples), 8)
}
