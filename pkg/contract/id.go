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
