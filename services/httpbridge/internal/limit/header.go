package limit

import (
	"net/http"
	"strconv"
	"time"
)

// Announce tells the caller of a quota, named policy, and what is left of it
// (draft-ietf-httpapi-ratelimit-headers).
func (v Verdict) Announce(h http.Header, policy string, class Class) {
	h["Ratelimit-Policy"] = []string{`"` + policy + `";q=` + strconv.Itoa(class.Requests) + `;w=` + strconv.Itoa(int(window/time.Second))}
	h["Ratelimit"] = []string{`"` + policy + `";r=` + strconv.Itoa(v.Remaining) + `;t=` + strconv.Itoa(seconds(v.Whole))}
}

// RetryAfter is Retry in whole seconds, at least one.
func (v Verdict) RetryAfter() int { return max(seconds(v.Retry), 1) }

// seconds rounds up: earlier than that it is not true.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
