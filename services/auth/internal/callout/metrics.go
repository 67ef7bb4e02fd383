package callout

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the Stats for a registry.
func (r *Responder) Metrics() []prometheus.Collector {
	counter := func(name, help string, labels prometheus.Labels, value func(Stats) int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels},
			func() float64 { return float64(value(r.Stats())) })
	}
	requests := func(outcome string, value func(Stats) int64) prometheus.Collector {
		return counter("buildify_bus_callout_requests_total",
			"Clients of the bus that this replica was asked about: accepted, refused for their key, faulty (could not be decided), shed (too many at once).",
			prometheus.Labels{"outcome": outcome}, value)
	}
	return []prometheus.Collector{
		requests("accepted", func(s Stats) int64 { return s.Accepted }),
		requests("refused", func(s Stats) int64 { return s.Refused }),
		requests("faulty", func(s Stats) int64 { return s.Faulty }),
		requests("shed", func(s Stats) int64 { return s.Shed }),
		counter("buildify_bus_kicked_total", "Connections of revoked keys that this replica closed.", nil,
			func(s Stats) int64 { return s.Kicked }),
	}
}
