package contract

import "strings"

// StreamSubject is where the bus tells module what a stream brings about a
// tenant; "*" matches all. Whoever reads it drops what lacks HeaderFeed.
func StreamSubject(stream *Spec, module, tenant string) string {
	_, name, _ := strings.Cut(stream.Name, ".")
	return "core." + name + "." + module + "." + tenant
}

// StreamSubjects are those that an API key of the module may hear, which is
// restricted to tenants unless there are none.
func StreamSubjects(stream *Spec, module string, tenants []string) []string {
	if len(tenants) == 0 {
		return []string{StreamSubject(stream, module, "*")}
	}
	shared := FeedBeats
	if stream.Name == ModuleNews.Name {
		shared = NewsOfAll
	}
	subjects := []string{StreamSubject(stream, module, shared)}
	for _, tenant := range tenants {
		subjects = append(subjects, StreamSubject(stream, module, tenant))
	}
	return subjects
}

// ForEveryKey reports whether the tenant of a StreamSubject stands for what every
// key of the module may hear.
func ForEveryKey(tenant string) bool { return tenant == FeedBeats || tenant == NewsOfAll }
