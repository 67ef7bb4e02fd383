package manifest

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/buildify/core/pkg/contract"
)

func TestATextIsSaidInThePersonsLanguage(t *testing.T) {
	t.Parallel()
	m := &Manifest{DefaultLanguage: "fr", I18n: map[string]map[string]string{
		"en": {"a": "A"}, "de": {"a": "Ä", "b": "B"}, "fr": {"a": "À"},
	}}
	for _, c := range []struct {
		text      Text
		languages []string
		want      string
	}{
		{nil, []string{"de"}, ""},
		{Plain("x"), []string{"de"}, "x"},
		{Text{"en": "e", "de": "d", "fr": "f"}, []string{"de"}, "d"},
		{Text{"en": "e", "de": "d", "fr": "f"}, []string{"de-CH"}, "d"},
		{Text{"en": "e", "de": "d", "fr": "f"}, []string{"zh-Hant-TW", "de"}, "d"},
		{Text{"en": "e", "de": "d", "fr": "f"}, []string{"it"}, "f"},
		{Text{"en": "e", "de": "d", "fr": "f"}, nil, "f"},
		{Text{"en": "e", "de": "d"}, []string{"it"}, "e"},
		{Text{"nl": "n", "de": "d"}, []string{"it"}, "d"},
		{Plain("%a%"), []string{"de-AT"}, "Ä"},
		{Plain("%a%"), []string{"it"}, "À"},
		{Plain("%b%"), []string{"it"}, "B"},
		{Plain("%none%"), []string{"de"}, "%none%"},
		{Plain("100 %"), []string{"de"}, "100 %"},
		{Plain("%%"), []string{"de"}, "%%"},
		{Text{"de": "%a%", "en": "plain"}, []string{"de"}, "Ä"},
	} {
		if got := m.Say(c.text, c.languages...); got != c.want {
			t.Errorf("%v in %v: %q, not %q", c.text, c.languages, got, c.want)
		}
	}
}

func TestATextIsWrittenAsItWasRead(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`""`, `"x"`, `{"de":"x","en":"y"}`, `{"en":"only"}`} {
		var read Text
		if err := json.Unmarshal([]byte(text), &read); err != nil {
			t.Fatal(err)
		}
		if written, err := json.Marshal(read); err != nil || string(written) != text {
			t.Error(text, string(written), err)
		}
	}
	for _, text := range []string{`7`, `[]`, `{"a": 1}`, `null`} {
		read := Text(nil)
		if err := json.Unmarshal([]byte(text), &read); err != nil || len(read) > 0 {
			t.Error(text, read, err)
		}
	}
}

func TestConditions(t *testing.T) {
	t.Parallel()
	for when, want := range map[string][]Condition{
		"":                                    nil,
		" ":                                   nil,
		"platform":                            {{Platform: true}},
		"module:contacts":                     {{Module: "contacts"}},
		"!module:contacts":                    {{Module: "contacts", Not: true}},
		"setting:colour=":                     {{Setting: "colour"}},
		"setting:a.b=c=d:e":                   {{Setting: "a.b", Value: "c=d:e"}},
		"module:a1 , setting:b=true,platform": {{Module: "a1"}, {Setting: "b", Value: "true"}, {Platform: true}},
	} {
		if got, err := ParseWhen(when); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v %v", when, got, err)
		}
	}
	for _, when := range []string{",", "module", "module:", "module:A", "!platform", "platform:x", "setting:x", "setting:=x", "setting:X=1", "module:aa,", "Module:aa", "true"} {
		if got, err := ParseWhen(when); err == nil {
			t.Errorf("%q: %+v", when, got)
		}
	}
}

func TestSchedules(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"* * * * *", "0 0 1 1 0", "*/5 0-23/2 1,15 jan-dec MON-fri", "59 23 31 12 7", "  5  4 * * *  ", "5/10 * * * *"} {
		if err := checkCron(good); err != nil {
			t.Error(good, err)
		}
	}
	for _, bad := range []string{
		"", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 0 *", "* * * 13 *", "* * * * 8",
		"-1 * * * *", "5-1 * * * *", "*/0 * * * *", "*/x * * * *", "a * * * *", "1,,2 * * * *", "1- * * * *", "+1 * * * *", "* * * foo *", "@daily", "* * mon * *",
	} {
		if err := checkCron(bad); err == nil {
			t.Error(bad)
		}
	}
}

func TestHostsAreOfThePublicInternet(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"example.com", "a-b.example.co.uk", "xn--bcher-kva.example"} {
		if why := notPublic(host); why != "" {
			t.Error(host, why)
		}
	}
	for _, host := range []string{"localhost", "a.localhost", "127.0.0.1", "10.1.2.3", "::1", "[::1]", "com", "db", "printer.local", "x.internal", "1.2.3", "0x7f.1"} {
		if why := notPublic(host); why == "" {
			t.Error(host)
		}
	}
	for _, c := range []struct {
		pattern, host string
		want          bool
	}{
		{"example.com", "example.com", true}, {"example.com", "a.example.com", false}, {"*.example.com", "a.example.com", true},
		{"*.example.com", "a.b.example.com", true}, {"*.example.com", "example.com", false}, {"*.example.com", "badexample.com", false},
		{"*.example.com", "*.example.com", true},
	} {
		if got := HostMatches(c.pattern, c.host); got != c.want {
			t.Error(c)
		}
	}
}

func TestTheCoreMustBeInTheRange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		wanted, core string
		ok           bool
	}{
		{"^1.2", "1.2.0", true}, {"^1.2", "1.9.3", true}, {"^1.2", "2.0.0", false}, {"^1.2", "1.1.9", false}, {">=1.2 <3", "2.9.9", true},
		{">=1.2 <3", "3.0.0-rc.1", false}, {"^1.2", "v1.2.0-rc.1", true}, {"^1.2", "1.2.0-7-gabcdef-dirty", true}, {"*", "0.1.0-dev", true},
		{"^1.8 || ^2.1", "2.1.0", true}, {"^1.8 || ^2.1", "2.0.0", false}, {"nonsense", "1.0.0", false}, {"*", "dev", false}, {"*", "", false},
	} {
		if err := (&Manifest{Compat: Compat{Core: c.wanted}}).CompatibleWith(c.core); (err == nil) != c.ok {
			t.Error(c, err)
		}
	}
}

func TestWhatAnUpdateAsksFor(t *testing.T) {
	t.Parallel()
	base := func() *Manifest { return valid(t, []byte(full)) }
	for name, c := range map[string]struct {
		change func(*Manifest)
		want   string
	}{
		"nothing": {func(m *Manifest) { m.Version = "1.5.0"; m.Name = Plain("New"); m.Routes = nil }, ""},
		"less": {func(m *Manifest) {
			m.Scopes, m.Egress, m.Hooks, m.Requires = nil, []string{"invoicing.example.com"}, nil, nil
		}, ""},
		"a scope":            {func(m *Manifest) { m.Scopes = append(m.Scopes, Scope{Name: "tenant.modules"}) }, "scope tenant.modules"},
		"no longer optional": {func(m *Manifest) { m.Scopes[4].Optional = false }, "scope rbac.who_can"},
		"optional now":       {func(m *Manifest) { m.Scopes[0].Optional = true }, ""},
		"a harmless permission": {func(m *Manifest) {
			m.Permissions = append(m.Permissions, Permission{Code: "invoicing:a:b", Risk: "low"})
		}, ""},
		"a risky permission": {func(m *Manifest) {
			m.Permissions = append(m.Permissions, Permission{Code: "invoicing:a:b", Risk: "high"})
		}, "permission invoicing:a:b of risk high"},
		"a risk played down":   {func(m *Manifest) { m.Permissions[2].Risk = "" }, "permission invoicing:payments:release of risk low, was critical"},
		"a host":               {func(m *Manifest) { m.Egress = append(m.Egress, "evil.example.com") }, "egress to evil.example.com"},
		"a host of a wildcard": {func(m *Manifest) { m.Egress = append(m.Egress, "a.bank.example") }, ""},
		"a backend elsewhere":  {func(m *Manifest) { m.Backend.BaseURL = "https://evil.example.com/x" }, "backend evil.example.com"},
		"a hook":               {func(m *Manifest) { m.Hooks = append(m.Hooks, Hook{Event: "configured"}) }, "hook configured"},
		"a module":             {func(m *Manifest) { m.Requires = append(m.Requires, Requirement{Module: "banking"}) }, "module banking"},
		"a module for certain": {func(m *Manifest) { m.Requires[1].Optional = false }, "module inventory"},
		"storage":              {func(m *Manifest) { m.Storage.QuotaMB = 300 }, "storage of 300 MiB"},
		"another publisher":    {func(m *Manifest) { m.Publisher.Name = "Evil Ltd" }, "publisher Evil Ltd, was Example Ltd"},
	} {
		m := base()
		c.change(m)
		if got := strings.Join(m.Asks(base()), "; "); got != c.want || m.AsksForNothingNew(base()) != (c.want == "") {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
	if base().AsksForNothingNew(nil) || valid(t, []byte(minimal)).AsksForNothingNew(nil) {
		t.Error("a first version is approved by nobody")
	}
	if n := len(base().NewScopes(nil)); n != 5 {
		t.Error(n, "scopes")
	}
}

func TestPermissionsAsRbacTakesThem(t *testing.T) {
	t.Parallel()
	want := contract.DeclaredPermission{Code: "invoicing:payments:release", Category: "Payments", Title: "Release payments", Risk: "critical"}
	if got := valid(t, []byte(full)).Declared()[2]; got != want {
		t.Errorf("%+v", got)
	}
}

func TestADigestIsTheOneOfTheRegistry(t *testing.T) {
	t.Parallel()
	f := valid(t, []byte(full)).Bundle.Files[0]
	if got := f.Digest(); len(got) != 96 || !strings.HasPrefix(got, "38b060a751ac9638") {
		t.Error(got)
	}
	if got := (File{SHA384: "sha384-x"}).Digest(); got != "" {
		t.Error(got)
	}
}
