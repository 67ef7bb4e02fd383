package contract

import (
	"encoding/json"
	"testing"
)

func TestNullClearsAndAbsentStays(t *testing.T) {
	t.Parallel()
	type change struct {
		Head IDOrNull `json:"head,omitempty"`
	}
	for in, want := range map[string]IDOrNull{`{}`: "", `{"head":null}`: Null, `{"head":"a"}`: "a"} {
		var c change
		if err := json.Unmarshal([]byte(in), &c); err != nil || c.Head != want {
			t.Errorf("%s is %q, %v", in, c.Head, err)
		}
		if again, err := json.Marshal(c); err != nil || string(again) != in {
			t.Errorf("%s comes back as %s, %v", in, again, err)
		}
	}
	if json.Unmarshal([]byte(`{"head":1}`), new(change)) == nil {
		t.Error("a number is no id here")
	}
}

func TestAnIDIsAStringOrANumberDigitForDigit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{`"a"`, "a"},
		{`""`, ""},
		{`"\u00e9\n"`, "é\n"},
		{`"007"`, "007"},
		{`0`, "0"},
		{`42`, "42"},
		{`-1`, "-1"},
		{`9007199254740993`, "9007199254740993"}, // 2^53+1: a float64 loses it
		{`123456789012345678901234567890`, "123456789012345678901234567890"},
		{`1.50`, "1.50"},
		{`1e400`, "1e400"},
		{`null`, ""},
	} {
		var r struct {
			ID ID `json:"id"`
		}
		if err := json.Unmarshal([]byte(`{"id": `+c.in+` }`), &r); err != nil || string(r.ID) != c.want {
			t.Errorf("%s is %q, %v", c.in, r.ID, err)
		}
		again, err := json.Marshal(r.ID)
		var back ID
		if err != nil || json.Unmarshal(again, &back) != nil || back != r.ID {
			t.Errorf("%s does not come back from %s", c.in, again)
		}
	}
	for _, in := range []string{`true`, `false`, `{}`, `[]`, `["a"]`, `{"id":1}`, `01`, `+1`, `.5`, `NaN`, `x`, ``} {
		var id ID
		if err := json.Unmarshal([]byte(in), &id); err == nil {
			t.Errorf("%s is read as %q", in, id)
		}
		if err := id.UnmarshalJSON([]byte(in)); err == nil {
			t.Errorf("%s is read as %q", in, id)
		}
	}
}
