package chaos

import (
	"testing"
	"time"

	"github.com/buildify/core/tests/stack"
)

// faults are all that may happen, in the order in which a round has them.
var faults = []fault{
	{name: "module killed", begin: killModules},
	{name: "audit killed", begin: killing(12, "audit")},
	{name: "producers killed", begin: killing(15, "tenant", "rbac", "auth")},
	{name: "NATS killed", begin: killNATS},
	{name: "PostgreSQL killed", begin: killPostgres},
	{name: "all killed at once", begin: killAll},
	{name: "network cut", begin: cutLines},
	{name: "network hung", begin: hangLines},
	{name: "consumer paused beyond its ack wait", begin: pauseConsumer},
	{name: "delivered again, in another order", begin: deliverAgain},
	{name: "hostile module", begin: beHostile},
	{name: "poison", begin: poison},
	{name: "clocks years apart", begin: skewClocks},
	{name: "slow reader", begin: readSlowly},
	{name: "three servers, leader killed", apart: true, begin: killLeaders},
	{name: "disk of NATS full", apart: true, begin: fillBusDisk},
	{name: "disk of PostgreSQL full", apart: true, begin: fillDatabaseDisk},
}

// inShort are those of the short form: what takes its time to heal heals there
// once, after one of each.
var inShort = []fault{
	{name: "module killed", begin: killModules},
	{name: "one after the other killed and cut", begin: breakInTurn},
	{name: "delivered again, in another order", begin: deliverAgain},
	{name: "hostile module", begin: beHostile},
	{name: "poison", begin: poison},
	{name: "clocks years apart", begin: skewClocks},
}

// breakInTurn kills one of each kind, and cuts audit's lines.
func breakInTurn(t *testing.T, v *visitor) {
	once := *v
	once.short = true
	killing(1, "audit")(t, &once)
	killing(1, []string{"tenant", "rbac", "auth"}[v.draw.IntN(3)])(t, &once)
	killNATS(t, &once)
	killPostgres(t, &once)
	for _, l := range v.shuffled(v.world.lines["audit"].bus, v.world.lines["audit"].database) {
		l.Cut(true)
		v.moment(300 * time.Millisecond)
		l.Heal()
	}
	v.killed = once.killed
}

// sometime lets the load go on for a number of acknowledgements that is drawn,
// so that what comes next comes in the midst of something.
func (v *visitor) sometime(t *testing.T) {
	t.Helper()
	v.load.progress(t, 1+v.draw.IntN(60), v.draw.IntN(4))
}

// moment is a short time that is drawn.
func (v *visitor) moment(most time.Duration) { <-time.After(time.Duration(v.draw.Int64N(int64(most)))) }

// killing kills one of the services, whichever is drawn, again and again.
func killing(times int, services ...string) func(*testing.T, *visitor) {
	return func(t *testing.T, v *visitor) {
		for n := range v.kills(times) {
			p := v.world.Processes[services[n%len(services)]]
			v.sometime(t)
			p.Kill()
			v.killed++
			v.moment(200 * time.Millisecond)
			p.Start()
		}
	}
}

func killNATS(t *testing.T, v *visitor) {
	for range v.kills(14) {
		v.sometime(t)
		v.world.Bus.Kill()
		v.killed++
		v.moment(300 * time.Millisecond)
		v.world.Bus.Start()
	}
}

func killPostgres(t *testing.T, v *visitor) {
	for range v.kills(14) {
		v.sometime(t)
		v.world.postgres.Kill()
		v.killed++
		v.moment(300 * time.Millisecond)
		v.world.postgres.Start()
	}
}

// killAll kills everything that holds state, in an order that is drawn, and
// starts it in another one. The services do not wait for what they need in
// order: each takes it up when it is there.
func killAll(t *testing.T, v *visitor) {
	for range v.kills(4) {
		v.sometime(t)
		kills := []func(){v.world.Bus.Kill, v.world.postgres.Kill, v.world.Processes["audit"].Kill, v.world.Processes["rbac"].Kill}
		v.draw.Shuffle(len(kills), func(i, j int) { kills[i], kills[j] = kills[j], kills[i] })
		for _, kill := range kills {
			kill()
			v.killed++
		}
		for _, start := range []func(){v.world.postgres.Start, v.world.Bus.Start, v.world.Processes["rbac"].Start, v.world.Processes["audit"].Start} {
			v.moment(100 * time.Millisecond)
			start()
		}
	}
}

// each calls do with every service's lines.
func (v *visitor) each(do func(*stack.Line)) {
	for _, service := range services {
		own := v.world.lines[service]
		for _, l := range v.shuffled(own.bus, own.database) {
			do(l)
		}
	}
}

func (v *visitor) shuffled(lines ...*stack.Line) []*stack.Line {
	v.draw.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	return lines
}

// cutLines cuts each service from the bus and from the database, at times for a
// moment only, and then everybody from both.
func cutLines(t *testing.T, v *visitor) {
	v.each(func(l *stack.Line) {
		v.sometime(t)
		l.Cut(true)
		if v.draw.IntN(2) == 0 {
			v.moment(time.Second)
		}
		l.Heal()
	})
	v.each(func(l *stack.Line) { l.Cut(true) })
	v.moment(2 * time.Second)
	v.each(func(l *stack.Line) { l.Heal() })
}

// hangLines lets nothing pass between each service and the bus or the database,
// though everything stays connected: nobody is told that his message is lost,
// and it is not, it arrives late.
func hangLines(t *testing.T, v *visitor) {
	v.each(func(l *stack.Line) {
		v.sometime(t)
		l.Hang()
		v.moment(4 * time.Second)
		l.Heal()
	})
}

// pauseConsumer suspends one of two replicas of audit for longer than the bus
// waits for its acknowledgements: the other one takes over, and the first wakes
// up in the midst of a batch that is no longer its own.
func pauseConsumer(t *testing.T, v *visitor) {
	other := v.world.Replica(t, "audit")
	for _, p := range []*stack.Process{v.world.Processes["audit"], other} {
		v.sometime(t)
		p.Freeze()
		<-time.After(ackWait + time.Second)
		p.Thaw()
	}
}

// ackWait is ingest's.
const ackWait = 10 * time.Second
