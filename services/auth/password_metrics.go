package auth

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/buildify/core/services/auth/internal/password"
)

// tellHashing tells metrics how many passwords are in work.
func tellHashing(metrics prometheus.Registerer, hasher *password.Hasher) {
	gauge := func(name, help string, value func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
	}
	metrics.MustRegister(
		gauge("buildify_passwords_hashing", "Passwords being hashed.", func() int { working, _ := hasher.Load(); return working }),
		gauge("buildify_passwords_waiting", "Passwords that wait to be hashed.", func() int { _, waiting := hasher.Load(); return waiting }),
	)
}
