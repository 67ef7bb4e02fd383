package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

var random = strings.Repeat("0123456789abcdef", 4)

func TestAKeyComesBackFromItsText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ environment, id, module string }{
		{"dev", "crm-abcdefgh", "crm"},
		{"staging", "my-own-module-abcdefgh01234567", "my-own-module"},
		{"prod", "a1-" + strings.Repeat("z", 32), "a1"},
		{"prod", strings.Repeat("m", 63) + "-abcdefgh", strings.Repeat("m", 63)},
	} {
		key := NewAPIKey(c.environment, c.id, random)
		parsed, err := ParseAPIKey(key.Reveal())
		if err != nil || parsed != key || parsed.Module() != c.module || !ValidModule(parsed.Module()) {
			t.Errorf("%s: %v %v", c.id, parsed, err)
		}
	}
}

func TestMalformedKeysAreRefused(t *testing.T) {
	t.Parallel()
	good := NewAPIKey("dev", "crm-abcdefgh", random).Reveal()
	for name, key := range map[string]string{
		"empty":                  "",
		"cut":                    good[:len(good)-1],
		"longer":                 good + "0",
		"one character mistyped": strings.Replace(good, "0123", "0124", 1),
		"two exchanged":          strings.Replace(good, "0123", "1023", 1),
		"of another id":          strings.Replace(good, "crm-", "crn-", 1),
		"of another environment": strings.Replace(good, "_dev_", "_prod_", 1),
		"of no environment":      strings.Replace(good, "_dev_", "_test_", 1),
		"of another vendor":      strings.Replace(good, "bfy_", "bfx_", 1),
		"capitals":               strings.ToUpper(good),
		"space before":           " " + good,
		"line break after":       good + "\n",
		"a line before":          "x\n" + good,
		"id with a dot":          NewAPIKey("dev", "crm.x-abcdefgh", random).Reveal(),
		"id with a wildcard":     NewAPIKey("dev", "*-abcdefgh", random).Reveal(),
		"id in capitals":         NewAPIKey("dev", "CRM-abcdefgh", random).Reveal(),
		"id beginning with -":    NewAPIKey("dev", "-crm-abcdefgh", random).Reveal(),
		"id of one letter":       NewAPIKey("dev", "c-abcdefgh", random).Reveal(),
		"id without random":      NewAPIKey("dev", "crm", random).Reveal(),
		"id of a long module":    NewAPIKey("dev", strings.Repeat("m", 64)+"-abcdefgh", random).Reveal(),
		"short secret":           NewAPIKey("dev", "crm-abcdefgh", "0123").Reveal(),
		"huge secret":            NewAPIKey("dev", "crm-abcdefgh", strings.Repeat("0", 1000)).Reveal(),
		"a megabyte":             strings.Repeat("a", 1<<20),
		"not UTF-8":              good[:20] + "\xff" + good[21:],
	} {
		if parsed, err := ParseAPIKey(key); !errors.Is(err, ErrMalformedKey) || parsed != (APIKey{}) {
			t.Errorf("%s: %+v %v", name, parsed, err)
		}
	}
}

func TestTheChecksumIsTheSecretsLastEight(t *testing.T) {
	t.Parallel()
	key := NewAPIKey("dev", "crm-abcdefgh", random)
	for i := range key.Secret {
		spoiled := []byte(key.Secret)
		spoiled[i] ^= 1 // stays a hexadecimal digit or a letter near it
		k := key
		k.Secret = string(spoiled)
		if _, err := ParseAPIKey(k.Reveal()); err == nil {
			t.Errorf("character %d may be wrong", i)
		}
	}
}

// A key is printed by whoever is careless: in a log line, in an error, in JSON.
func TestAKeyNeverPrintsItsSecret(t *testing.T) {
	t.Parallel()
	key := NewAPIKey("dev", "crm-abcdefgh", random)
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&out, verb+"\n", key)
		fmt.Fprintf(&out, verb+"\n", &key)
		fmt.Fprintf(&out, verb+"\n", struct{ K APIKey }{key})
		fmt.Fprintf(&out, verb+"\n", []APIKey{key})
		fmt.Fprintf(&out, verb+"\n", map[string]any{"key": key})
	}
	fmt.Fprintln(&out, key, fmt.Errorf("key %v", key))
	slog.New(slog.NewJSONHandler(&out, nil)).Info("key", "key", key, "ptr", &key, "in", struct{ K APIKey }{key})
	slog.New(slog.NewTextHandler(&out, nil)).Info("key", "key", key, "ptr", &key, "in", struct{ K APIKey }{key})
	if raw, err := json.Marshal(map[string]any{"key": key, "in": struct{ K APIKey }{key}}); err == nil {
		out.Write(raw)
	}
	text := strings.ToLower(out.String())
	for _, leak := range []string{random, key.Secret, fmt.Sprintf("%x", key.Secret), fmt.Sprintf("%x", random)} {
		if at := strings.Index(text, leak); at >= 0 {
			t.Fatalf("leaks: …%s", text[max(0, at-80):at+20])
		}
	}
	if !strings.Contains(text, "crm-abcdefgh") {
		t.Error("the id is not told")
	}
}

func TestModuleNamesAreOneSafeToken(t *testing.T) {
	t.Parallel()
	for name, valid := range map[string]bool{
		"crm": true, "a1": true, "my-module": true, "a-": true, strings.Repeat("m", 63): true,
		"": false, "a": false, "1a": false, "-a": false, "Crm": false, "crm.x": false, "crm*": false, "*": false, ">": false,
		"crm x": false, "crm\n": false, "crm_x": false, "é1": false, strings.Repeat("m", 64): false,
	} {
		if ValidModule(name) != valid {
			t.Errorf("%q valid: %v", name, !valid)
		}
	}
}

func FuzzParseAPIKey(f *testing.F) {
	f.Add(NewAPIKey("dev", "crm-abcdefgh", random).Reveal())
	f.Add("bfy_dev_crm-abcdefgh_" + random)
	f.Add("bfy___")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		key, err := ParseAPIKey(s)
		if err != nil {
			if key != (APIKey{}) {
				t.Error("a refused key is given out")
			}
			// The same random part under a right checksum, to get past it.
			if parts := strings.SplitN(s, "_", 4); len(parts) == 4 {
				key, err = ParseAPIKey(NewAPIKey(parts[1], parts[2], parts[3]).Reveal())
			}
			if err != nil {
				return
			}
			s = key.Reveal()
		}
		if key.Reveal() != s {
			t.Errorf("%q renders as %q", s, key.Reveal())
		}
		if !ValidModule(key.Module()) {
			t.Errorf("%q names module %q", s, key.Module())
		}
	})
}
