package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Parse reads a manifest of version 2, or one of version 1, which it converts.
// The findings tell all that is wrong and, with the severity info, what was
// converted; their lines are those of data in both cases. The manifest is nil
// when the text is not one at all; with errors it holds what could be read.
// Parse never panics, whatever the text.
func Parse(data []byte) (*Manifest, Findings) { return Check(data, "") }

// Check is Parse for a version of the core: a manifest that does not run on it
// has a finding too. An empty version checks nothing more.
func Check(data []byte, core string) (*Manifest, Findings) {
	if len(data) > MaxSize {
		return nil, Findings{{Code: "too_large", Severity: Error, Line: 1, Column: 1,
			Message: fmt.Sprintf("the manifest has %d bytes: at most %d are allowed; put texts and data into files of the bundle", len(data), MaxSize)}}
	}
	source, found := read(data)
	c := newChecker(source, found)
	c.core = core
	if source.root == nil {
		return nil, c.sorted()
	}
	if source.root.members == nil {
		c.fail("schema", "", "a manifest is a JSON object: begin with { \"manifest_version\": 2, … }")
		return nil, c.sorted()
	}
	if isVersion1(source) {
		data = c.convert()
	}
	c.schemaFindings(manifestSchema(), document().root, decode(data))
	c.m = &Manifest{}
	if err := json.Unmarshal(data, c.m); err != nil {
		c.unreadable(err)
	}
	c.check()
	return c.m, c.sorted()
}

// unreadable tells of a value that the schema takes and Go does not: a whole
// number that is written as a fraction, such as 1.0.
func (c *checker) unreadable(err error) {
	if c.errors > 0 {
		return // the schema has found it
	}
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && c.origins == nil {
		c.fail("schema", c.source.ending(int(wrong.Offset)), "cannot be read: write a whole number without fraction and exponent")
		return
	}
	c.fail("schema", "", "cannot be read: %s", err)
}
