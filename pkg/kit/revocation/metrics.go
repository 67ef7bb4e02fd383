package revocation

import "github.com/prometheus/client_golang/prometheus"

type metrics struct{ open, ended, failed, resyncs prometheus.Counter }

func (l *List) register() {
	labels := prometheus.Labels{"service": l.cfg.Service}
	checks := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "buildify_revocation_checks_total", ConstLabels: labels,
		Help: "Sessions that auth was asked about, for the list was not fresh, by result.",
	}, []string{"result"})
	l.metrics = metrics{
		open: checks.WithLabelValues("open"), ended: checks.WithLabelValues("ended"), failed: checks.WithLabelValues("failed"),
		resyncs: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "buildify_revocation_resyncs_total", Help: "Times the list had gone stale and was made fresh again.", ConstLabels: labels,
		}),
	}
	l.cfg.Telemetry.Metrics.MustRegister(checks, l.metrics.resyncs,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "buildify_revocation_fresh", Help: "1 while the list of ended sessions is trusted, 0 while auth is asked instead.", ConstLabels: labels,
		}, func() float64 {
			if l.Fresh() {
				return 1
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "buildify_revocation_sessions", Help: "Ended sessions whose tokens may not have expired.", ConstLabels: labels,
		}, func() float64 { return float64(l.size.Load()) }),
	)
}
