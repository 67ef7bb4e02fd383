package rbac

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/buildify/core/pkg/decision"
)

// metrics are what an operator sees of the engine.
type metrics struct {
	steps                                             *prometheus.CounterVec
	gaps, reloads, pollFailures, verified, mismatches prometheus.Counter
	engine                                            *decision.Engine
	lastPoll                                          atomic.Int64 // unix nanoseconds
}

func newMetrics(r prometheus.Registerer, engine *decision.Engine) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "buildify_rbac_" + name, Help: help})
	}
	m := &metrics{
		engine: engine,
		steps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "buildify_rbac_steps_total", Help: "Steps of policies taken in, by what brought them first: own, announcement, event.",
		}, []string{"source"}),
		gaps:         counter("gaps_total", "Steps that came before the one they follow; they wait for it."),
		reloads:      counter("reloads_total", "Policies loaded anew because a step did not come by itself."),
		pollFailures: counter("poll_failures_total", "Rounds in which the database could not be asked for changes."),
		verified:     counter("verified_total", "Policies that were held against the database."),
		mismatches:   counter("mismatches_total", "Policies in memory that differed from the database: a fault, to be reported."),
	}
	m.lastPoll.Store(time.Now().UnixNano())
	r.MustRegister(m.steps, m.gaps, m.reloads, m.pollFailures, m.verified, m.mismatches,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "buildify_rbac_policy_age_seconds", Help: "How long ago this replica last knew every change; steadily above one, modules do not decide locally.",
		}, func() float64 { return time.Since(time.Unix(0, m.lastPoll.Load())).Seconds() }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "buildify_rbac_policies", Help: "Policies held in memory.",
		}, func() float64 { return float64(m.tenants()) }))
	return m
}

func (m *metrics) asOf(t time.Time) { m.lastPoll.Store(t.UnixNano()) }

// tenants counts the policies that are held.
func (m *metrics) tenants() (n int) {
	for range m.engine.Tenants() {
		n++
	}
	return n
}
