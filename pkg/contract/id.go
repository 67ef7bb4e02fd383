package contract

import (
	"bytes"
	"encoding/json"
)

// ID is an identifier in a request. It is a string; a JSON number is accepted
// and read as its decimal string, digit for digit.
type ID string

// UnmarshalJSON reads a JSON string or number.
func (id *ID) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] != '"' && !bytes.Equal(data, []byte("null")) {
		var number json.Number
		if err := json.Unmarshal(data, &number); err != nil {
			return err
		}
		*id = ID(number)
		return nil
	}
	return json.Unmarshal(data, (*string)(id))
}

// IDOrNull is an ID in a change: empty leaves what is there, Null clears it.
type IDOrNull string

// Null is null as an IDOrNull.
const Null IDOrNull = "null"

// UnmarshalJSON reads a JSON string or null.
func (id *IDOrNull) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("null")) {
		*id = Null
		return nil
	}
	return json.Unmarshal(data, (*string)(id))
}

// MarshalJSON writes a JSON string or null.
func (id IDOrNull) MarshalJSON() ([]byte, error) {
	if id == Null {
		return []byte("null"), nil
	}
	return json.Marshal(string(id))
}
