package events

import (
	"encoding/json"
	"maps"
	"net/textproto"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

// strange is what percent encoding is for.
const strange = "añb €😀\t\n\x7f\"%25% 100%&=+"

func sample(t testing.TB) Event {
	t.Helper()
	e, err := New(TenantChanged, "01a2057f-5caa-7e5e-8250-4be480f755cf", 7, map[string]any{"name": "Ünïcode <&>", "n": 1})
	require.NoError(t, err)
	e.SetExtension("strange", strange)
	e.SetExtension(Traceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	e.SetDataSchema("https://example.com/schema?a=%20b")
	return e
}

// same holds two events together, attribute by attribute and byte by byte.
func same(t testing.TB, want, got Event) {
	t.Helper()
	require.Equal(t, want.SpecVersion(), got.SpecVersion())
	require.Equal(t, want.ID(), got.ID())
	require.Equal(t, want.Type(), got.Type())
	require.Equal(t, want.Source(), got.Source())
	require.Equal(t, want.Subject(), got.Subject())
	require.Equal(t, want.DataSchema(), got.DataSchema())
	require.Equal(t, want.DataContentType(), got.DataContentType())
	require.True(t, want.Time().Equal(got.Time()), "%v and %v", want.Time(), got.Time())
	require.Equal(t, string(want.Data()), string(got.Data()))
	require.ElementsMatch(t, keys(want), keys(got))
	for name := range want.Extensions() {
		require.Equal(t, Extension(want, name), Extension(got, name), name)
	}
}

func keys(e Event) (names []string) {
	for name := range e.Extensions() {
		names = append(names, name)
	}
	return names
}

func TestAnEventComesBackFromTheWire(t *testing.T) {
	t.Parallel()
	untimed := sample(t)
	untimed.SetTime(time.Time{})
	bare := cloudevents.New()
	bare.SetID("1")
	bare.SetType("t")
	bare.SetSource("/s")
	bare.SetSubject("core.events.x")
	text := sample(t)
	require.NoError(t, text.SetData("text/plain; charset=utf-8", []byte("\x00\xff raw")))
	for name, want := range map[string]Event{"full": sample(t), "without a time": untimed, "bare": bare, "not JSON": text} {
		msg, err := Encode(want)
		require.NoError(t, err, name)
		require.Equal(t, want.Subject(), msg.Subject)
		got, err := Decode(msg.Header, msg.Data)
		require.NoError(t, err, name)
		same(t, want, got)

		// Other clients spell headers as HTTP does.
		canonical := nats.Header{}
		for key, values := range msg.Header {
			canonical[textproto.CanonicalMIMEHeaderKey(key)] = values
		}
		got, err = Decode(canonical, msg.Data)
		require.NoError(t, err, name)
		same(t, want, got)
	}
}

func TestHeadersArePercentEncodedAsTheBindingAsks(t *testing.T) {
	t.Parallel()
	msg, err := Encode(sample(t))
	require.NoError(t, err)
	require.Equal(t, []string{"a%C3%B1b%20%E2%82%AC%F0%9F%98%80%09%0A%7F%22%2525%25%20100%25&=+"}, msg.Header["ce-strange"])
	require.Equal(t, []string{"1.0"}, msg.Header["ce-specversion"])
	require.Equal(t, []string{"application/json"}, msg.Header["content-type"])
	require.NotContains(t, msg.Header, "ce-datacontenttype")
	for name, values := range msg.Header {
		for _, r := range values[0] {
			require.True(t, r > ' ' && r <= '~', "%s: %q", name, values[0])
		}
	}
	for in, want := range map[string]string{
		"%41": "A", "%c3%a9": "é", "%C3%A9": "é", "a%20b": "a b", "100%": "100%", "%": "%", "%4": "%4",
		"%zz": "%zz", "%1G": "%1G", "%0X": "%0X", "% 1": "% 1", "%+1": "%+1", "%%41": "%A", "%2541": "%41", "": "",
	} {
		require.Equal(t, want, percentDecode(in), in)
	}
}

func TestStructuredModeIsAccepted(t *testing.T) {
	t.Parallel()
	want := sample(t)
	raw, err := json.Marshal(want) // the CloudEvents SDK's own JSON
	require.NoError(t, err)
	for _, contentType := range []string{"application/cloudevents+json", "application/cloudevents+json; charset=UTF-8"} {
		got, err := Decode(nats.Header{"content-type": {contentType}}, raw)
		require.NoError(t, err)
		same(t, want, got)
	}
	based := sample(t)
	require.NoError(t, based.SetData("application/octet-stream", []byte{0, 1, 0xff}))
	raw, err = json.Marshal(based)
	require.NoError(t, err)
	require.Contains(t, string(raw), "data_base64")
	got, err := Decode(nats.Header{"Content-Type": {"application/cloudevents+json"}}, raw)
	require.NoError(t, err)
	same(t, based, got)
}

// What we publish must be readable by anyone who uses the CloudEvents SDK.
func TestTheSDKReadsWhatWeWrite(t *testing.T) {
	t.Parallel()
	want := sample(t)
	msg, err := Encode(want)
	require.NoError(t, err)
	decoded, err := Decode(msg.Header, msg.Data)
	require.NoError(t, err)
	raw, err := json.Marshal(decoded)
	require.NoError(t, err)
	var got Event
	require.NoError(t, json.Unmarshal(raw, &got))
	require.NoError(t, got.Validate())
	same(t, want, got)
	var data struct{ Name string }
	require.NoError(t, got.DataAs(&data))
	require.Equal(t, "Ünïcode <&>", data.Name)
}

func TestMalformedMessagesAreRefused(t *testing.T) {
	t.Parallel()
	good, err := Encode(sample(t))
	require.NoError(t, err)
	binaryCases := map[string]func(nats.Header){
		"no specversion":          func(h nats.Header) { delete(h, "ce-specversion") },
		"an old specversion":      func(h nats.Header) { h["ce-specversion"] = []string{"0.3"} },
		"no id":                   func(h nats.Header) { delete(h, "ce-id") },
		"an empty id":             func(h nats.Header) { h["ce-id"] = []string{""} },
		"no type":                 func(h nats.Header) { delete(h, "ce-type") },
		"no source":               func(h nats.Header) { delete(h, "ce-source") },
		"a source that is none":   func(h nats.Header) { h["ce-source"] = []string{"%00:"} },
		"a time that is none":     func(h nats.Header) { h["ce-time"] = []string{"yesterday"} },
		"an extension's name":     func(h nats.Header) { h["ce-not_a_name"] = []string{"x"} },
		"an empty name":           func(h nats.Header) { h["ce-"] = []string{"x"} },
		"an attribute twice":      func(h nats.Header) { h["Ce-Id"] = []string{"another"} },
		"a schema that is none":   func(h nats.Header) { h["ce-dataschema"] = []string{"%25zz"} },
		"nothing of a CloudEvent": func(h nats.Header) { clear(h) },
	}
	for name, spoil := range binaryCases {
		header := maps.Clone(good.Header)
		spoil(header)
		e, err := Decode(header, good.Data)
		require.ErrorIs(t, err, ErrMalformed, name)
		require.Nil(t, e.Context, "%s: half an event is given out", name)
	}
	_, err = Decode(nil, nil)
	require.ErrorIs(t, err, ErrMalformed)
	for _, data := range []string{
		``, `{`, `null`, `5`, `[]`, `"x"`, `{}`, `{"specversion":"1.0"}`,
		`{"specversion":"0.3","id":"1","type":"t","source":"/s"}`,
		`{"specversion":"2.0","id":"1","type":"t","source":"/s"}`,
		`{"specversion":"1.0","id":"","type":"t","source":"/s"}`,
		`{"specversion":"1.0","type":"t","source":"/s"}`,
		`{"specversion":"1.0","id":"1","source":"/s"}`,
		`{"specversion":"1.0","id":"1","type":"t"}`,
		`{"specversion":"1.0","id":"1","type":"t","source":"/s","time":"yesterday"}`,
		`{"specversion":"1.0","id":"1","type":"t","source":"/s","not_a_name":"x"}`,
		`{"specversion":"1.0","id":"1","type":"t","source":"/s","data_base64":5}`,
		`{"data_base64":5,"specversion":"1.0","id":"1","type":"t","source":"/s"}`,
		`{"specversion":"1.0","id":"1","type":"t","source":"/s","data_base64":"%%"}`,
		`{"specversion":"1.0","id":"1","type":"t","source":"/s"}{}`,
	} {
		_, err := Decode(nats.Header{"content-type": {structuredType}}, []byte(data))
		require.ErrorIs(t, err, ErrMalformed, data)
	}
}

func TestAnInvalidEventIsNotEncoded(t *testing.T) {
	t.Parallel()
	_, err := Encode(cloudevents.New())
	require.ErrorIs(t, err, ErrMalformed)
	_, err = New(TenantChanged, "t", 1, make(chan int))
	require.Error(t, err)
}

func TestNewEventsCarryWhatTheyPromise(t *testing.T) {
	t.Parallel()
	e, err := New(UserChanged, "", 3, struct{}{})
	require.NoError(t, err)
	require.Equal(t, "dev.buildify.auth.user.changed.v1", e.Type())
	require.Equal(t, "/core/auth", e.Source())
	require.Equal(t, "core.events.platform.auth.user.changed", e.Subject())
	require.Equal(t, Platform, Extension(e, TenantID))
	require.Equal(t, "3", Extension(e, Revision))
	require.Equal(t, "success", Extension(e, Outcome))
	require.Empty(t, Extension(e, "absent"))
	require.True(t, UserChanged.Is(e))
	require.False(t, TenantChanged.Is(e))
	other, err := New(UserChanged, "", 3, struct{}{})
	require.NoError(t, err)
	require.NotEqual(t, e.ID(), other.ID())
}

// FuzzDecode holds that nothing panics, that a refusal is ErrMalformed, and
// that what is accepted comes back from its own encoding.
func FuzzDecode(f *testing.F) {
	msg, err := Encode(sample(f))
	require.NoError(f, err)
	raw, err := json.Marshal(sample(f))
	require.NoError(f, err)
	f.Add(lines(msg.Header), msg.Data)
	f.Add("content-type: "+structuredType, raw)
	f.Add("content-type: "+structuredType, []byte(`{"specversion":"1.0","id":"1","type":"t","source":"/s","data_base64":5}`))
	f.Add("ce-id: %\nce-specversion: 1.0\nce-type: %00\nce-source: /%zz", []byte(nil))
	f.Fuzz(func(t *testing.T, header string, data []byte) {
		h := nats.Header{}
		for line := range strings.Lines(header) {
			if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); ok {
				h[name] = append(h[name], value)
			}
		}
		e, err := Decode(h, data)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		for name := range e.Extensions() {
			// A structured event may hold numbers and truth values; only text
			// is sure to be the same after binary mode.
			if s, ok := e.Extensions()[name].(string); !ok || s == "" || !utf8.ValidString(s) {
				return
			}
		}
		msg, err := Encode(e)
		if err != nil {
			return
		}
		again, err := Decode(msg.Header, msg.Data)
		require.NoError(t, err)
		// The SDK trims what it sets, but not what it reads from JSON.
		require.Equal(t, strings.TrimSpace(e.ID()), again.ID())
		require.Equal(t, strings.TrimSpace(e.Type()), again.Type())
		require.Equal(t, string(e.Data()), string(again.Data()))
		for name := range e.Extensions() {
			require.Equal(t, Extension(e, name), Extension(again, name))
		}
	})
}

func lines(h nats.Header) string {
	var b strings.Builder
	for name, values := range h {
		b.WriteString(name + ": " + values[0] + "\n")
	}
	return b.String()
}
