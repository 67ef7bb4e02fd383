package manifest

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// eventPattern is the form of types of events that a module hears.
var eventPattern = regexp.MustCompile(`^(\*|[a-z0-9_-]+)(\.(\*|[a-z0-9_-]+))*(\.\*\*)?$`)

func (c *checker) events() {
	seen := unique{c, "type", map[string]string{}}
	for i, e := range c.m.Events.Publishes {
		at := fmt.Sprintf("/events/publishes/%d", i)
		seen.add(at+"/type", e.Type)
		if e.Type != "" && c.m.ID != "" && !c.isBroken("/id") && !strings.HasPrefix(e.Type, c.m.ID+".") {
			c.fail("namespace", at+"/type", "%s is not in the module's namespace: its events begin with %s", quoted(e.Type), quoted(c.m.ID+"."))
		}
		if e.Schema != nil && !c.isBroken(at+"/schema") && c.plainSchema(at+"/schema", true) {
			if _, err := compile(eventURL, decode(e.Schema), false); err != nil {
				c.notSchema("events", at+"/schema", err)
			}
		}
	}
	asked := map[string]bool{}
	for _, s := range c.m.Scopes {
		asked[s.Name] = true
	}
	for i, heard := range c.m.Events.Subscribes {
		if heard != "" && !strings.HasPrefix(heard, c.m.ID+".") && !asked[eventsScope+heard] {
			c.fail("scope", fmt.Sprintf("/events/subscribes/%d", i), "events of others want consent: add the scope %s with a reason", quoted(eventsScope+heard))
		}
	}
}

func (c *checker) backend() {
	b := c.m.Backend
	if b == nil {
		return
	}
	if b.Transport != "http" {
		if b.BaseURL != "" {
			c.warn("backend", "/backend/base_url", "is without effect with transport %s: remove it, or set transport to http", b.Transport)
		}
		return
	}
	if b.BaseURL == "" {
		c.fail("missing", "/backend/base_url", "base_url is missing: with transport http the platform must know where to call")
		return
	}
	base, err := url.Parse(b.BaseURL)
	if err != nil || base.Hostname() == "" {
		c.fail("schema", "/backend/base_url", "%s is no URL", quoted(b.BaseURL))
		return
	}
	host := strings.ToLower(base.Hostname())
	if why := notPublic(host); why != "" {
		c.fail("egress", "/backend/base_url", "%s %s", quoted(host), why)
	} else if !slices.ContainsFunc(c.m.Egress, func(pattern string) bool { return HostMatches(pattern, host) }) {
		c.warn("egress", "/backend/base_url", "data of tenants goes to %s: add it to egress, so that they see it when they consent", quoted(host))
	}
}

func (c *checker) egress() {
	for i, host := range c.m.Egress {
		if why := notPublic(strings.TrimPrefix(host, "*.")); why != "" {
			c.fail("egress", fmt.Sprintf("/egress/%d", i), "%s %s", quoted(host), why)
		}
	}
}

// notPublic says why a host is none that a module may declare; empty is fine.
func notPublic(host string) string {
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return "is an address: name the host"
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	switch {
	case host == "":
		return "" // the schema has found it
	case slices.Contains([]string{"localhost", "local", "internal", "localdomain", "lan", "home", "intranet", "onion"}, last):
		return "is a host of a private network: name a public one"
	case last == host:
		return "is no full name of a host: write one with a domain, such as api.example.com"
	case strings.Trim(last, "0123456789") == "":
		return "is an address: name the host"
	}
	return ""
}

// HostMatches reports whether a host is one that an egress entry stands for.
func HostMatches(pattern, host string) bool {
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		return len(host) > len(suffix) && strings.HasSuffix(host, suffix)
	}
	return pattern == host
}

func (c *checker) jobs() {
	ids := unique{c, "id", map[string]string{}}
	transport := "none"
	if c.m.Backend != nil {
		transport = c.m.Backend.Transport
	}
	for i, j := range c.m.Jobs {
		at := fmt.Sprintf("/jobs/%d", i)
		ids.add(at+"/id", j.ID)
		if err := checkCron(j.Schedule); err != nil && j.Schedule != "" {
			c.fail("cron", at+"/schedule", "%s", err)
		}
		if j.Subject != "" && !strings.HasPrefix(j.Subject, c.m.ID+".") {
			c.fail("namespace", at+"/subject", "%s is not in the module's namespace: its subjects begin with %s", quoted(j.Subject), quoted(c.m.ID+"."))
		}
		switch {
		case transport == "nats" && j.Subject == "":
			c.fail("missing", at+"/subject", "subject is missing: the backend is reached over the bus; add one such as %s", quoted(c.m.ID+".jobs."+j.ID))
		case transport == "http" && j.Path == "":
			c.fail("missing", at+"/path", "path is missing: the backend is reached over HTTP; add one such as %s", quoted("/jobs/"+j.ID))
		case transport == "none":
			c.fail("backend", at, "nobody can be told of the job: say in backend how the module is reached")
		}
	}
}

func (c *checker) hooks() {
	seen := unique{c, "hook", map[string]string{}}
	for i, h := range c.m.Hooks {
		seen.add(fmt.Sprintf("/hooks/%d/event", i), h.Event)
	}
}

// messages warns of languages that lack what others have, and finds texts whose
// message is nowhere.
func (c *checker) messages() {
	all := map[string]bool{}
	for _, messages := range c.m.I18n {
		for key := range messages {
			all[key] = true
		}
	}
	keys := slices.Sorted(maps.Keys(all))
	for _, language := range slices.Sorted(maps.Keys(c.m.I18n)) {
		var missing []string
		for _, key := range keys {
			if _, ok := c.m.I18n[language][key]; !ok {
				missing = append(missing, key)
			}
		}
		if len(missing) > 0 {
			c.warn("i18n", "/i18n"+pointer(language), "lacks %s, which other languages have", some(missing))
		}
	}
	if _, ok := c.m.I18n[c.m.language()]; !ok && len(c.m.I18n) > 0 {
		c.warn("i18n", "/i18n", "lacks the default language %s: add it, or say another in default_language", c.m.language())
	}
	for _, t := range c.m.localised() {
		for language, s := range t.text {
			at := t.at
			if language != "" {
				at += pointer(language)
			}
			if key, ok := messageKey(s); ok && !all[key] {
				c.fail("i18n", at, "there is no message %s: add it to i18n", quoted(key))
			}
		}
	}
}

// some of many names.
func some(names []string) string {
	if len(names) <= 5 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:5], ", "), len(names)-5)
}

type placed struct {
	at   string
	text Text
}

// localised are all texts for people, with where they stand.
func (m *Manifest) localised() []placed {
	all := []placed{{"/name", m.Name}, {"/description", m.Description}}
	put := func(list string, i int, field string, t Text) {
		all = append(all, placed{fmt.Sprintf("/%s/%d/%s", list, i, field), t})
	}
	for i, r := range m.Requires {
		put("requires", i, "reason", r.Reason)
	}
	for i, p := range m.Permissions {
		put("permissions", i, "title", p.Title)
	}
	for i, s := range m.Scopes {
		put("scopes", i, "reason", s.Reason)
	}
	for i, r := range m.Routes {
		put("routes", i, "title", r.Title)
	}
	for i, item := range m.Menu {
		put("menu", i, "title", item.Title)
	}
	for i, w := range m.Widgets {
		put("widgets", i, "title", w.Title)
	}
	for i, e := range m.Events.Publishes {
		put("events/publishes", i, "title", e.Title)
	}
	for i, j := range m.Jobs {
		put("jobs", i, "title", j.Title)
	}
	if m.Storage != nil {
		all = append(all, placed{"/storage/reason", m.Storage.Reason})
	}
	if m.Settings != nil {
		for _, s := range m.Settings.Properties {
			at := "/settings/properties" + pointer(s.Key)
			all = append(all, placed{at + "/title", Plain(s.Title)}, placed{at + "/description", Plain(s.Description)})
		}
	}
	return all
}
