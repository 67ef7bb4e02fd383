package manifest

import (
	"fmt"
	"strings"

	"github.com/buildify/core/pkg/contract"
)

// Condition is one of the conditions of a when; all of them must hold.
type Condition struct {
	// Module must be enabled in the tenant or, with Not, must not be.
	Module string
	Not    bool
	// Setting of the module must have Value: a string as it is, any other value
	// as its JSON.
	Setting, Value string
	// Platform says that the person must be a platform administrator.
	Platform bool
}

// ParseWhen reads conditions: module:<id>, !module:<id>,
// setting:<key>=<value> and platform, separated by commas. Without any, there
// is nothing that must hold.
func ParseWhen(when string) ([]Condition, error) {
	if strings.TrimSpace(when) == "" {
		return nil, nil
	}
	var conditions []Condition
	for part := range strings.SplitSeq(when, ",") {
		condition, err := parseCondition(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		conditions = append(conditions, condition)
	}
	return conditions, nil
}

func parseCondition(s string) (Condition, error) {
	word, rest, _ := strings.Cut(s, ":")
	switch word {
	case "module", "!module":
		if !contract.ValidModule(rest) {
			return Condition{}, fmt.Errorf("%q names no module: write %s:<id>", s, word)
		}
		return Condition{Module: rest, Not: word == "!module"}, nil
	case "setting":
		key, value, ok := strings.Cut(rest, "=")
		if !ok || !settingKey.MatchString(key) {
			return Condition{}, fmt.Errorf("%q compares no setting: write setting:<key>=<value>", s)
		}
		return Condition{Setting: key, Value: value}, nil
	case "platform":
		if s == word {
			return Condition{Platform: true}, nil
		}
	}
	return Condition{}, fmt.Errorf("%q is no condition: write module:<id>, !module:<id>, setting:<key>=<value> or platform", s)
}
