package webhooks

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// usualRetries are the pauses after each failed attempt: eight attempts within
// some 31 hours. After the last one a delivery is given up.
var usualRetries = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour,
}

const (
	// longestWait bounds what an address may ask for in Retry-After.
	longestWait = 24 * time.Hour
	// givenUpAtMost is how many deliveries in a row may be given up before the
	// webhook is disabled.
	givenUpAtMost = 100
)

// pause is how long to wait after a failed attempt, the tried-th since the
// delivery was queued, and whether there is to be another one. What the answer
// asks for lengthens it, within bounds.
func pause(retries []time.Duration, tried int, asked time.Duration) (time.Duration, bool) {
	if tried >= len(retries) {
		return 0, false
	}
	// Those that failed together do not come again together.
	wait := time.Duration(float64(retries[tried]) * (0.9 + rand.Float64()/5)) //nolint:gosec // not a secret
	return max(wait, min(asked, longestWait)), true
}

// retryAfter is what an answer asks for, 0 for nothing.
func retryAfter(answer *http.Response) time.Duration {
	value := answer.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}
