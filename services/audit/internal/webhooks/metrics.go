package webhooks

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	attempts *prometheus.CounterVec
	latency  prometheus.Histogram
	taken    prometheus.Counter
	disabled prometheus.Counter
	oldest   prometheus.Gauge
	lag      prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "buildify_webhook_attempts_total", Help: "Attempts to send to webhooks, by what became of the delivery: sent, retry, failed or missed.",
		}, []string{"outcome"}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "buildify_webhook_latency_seconds", Help: "How long addresses of webhooks took to answer.",
			Buckets: []float64{.01, .03, .1, .3, 1, 3, 10, 15},
		}),
		taken: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "buildify_webhook_deliveries_total", Help: "Deliveries made of events.",
		}),
		disabled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "buildify_webhook_disabled_total", Help: "Webhooks that were disabled because their address failed or was gone.",
		}),
		oldest: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "buildify_webhook_oldest_due_seconds", Help: "For how long the oldest delivery has been due; steadily above some seconds, senders do not keep up.",
		}),
		lag: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "buildify_webhook_lag_messages", Help: "Events in the stream of which no deliveries were made yet.",
		}),
	}
	r.MustRegister(m.attempts, m.latency, m.taken, m.disabled, m.oldest, m.lag)
	return m
}
