package manifest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// cronField is one of the five, with the values it takes.
type cronField struct {
	name     string
	from, to int
	words    []string // names of values, the first for from
}

var cronFields = []cronField{
	{"minute", 0, 59, nil},
	{"hour", 0, 23, nil},
	{"day of the month", 1, 31, nil},
	{"month", 1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{"day of the week", 0, 7, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
}

// checkCron tells what is wrong with a schedule of five fields.
func checkCron(schedule string) error {
	fields := strings.Fields(schedule)
	if len(fields) != len(cronFields) {
		return fmt.Errorf("%s has %d fields instead of five: minute, hour, day of the month, month, day of the week", quoted(schedule), len(fields))
	}
	for i, field := range fields {
		for part := range strings.SplitSeq(field, ",") {
			if err := cronFields[i].check(part); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f cronField) check(part string) error {
	span, step, stepped := strings.Cut(part, "/")
	if stepped {
		if n, err := strconv.Atoi(step); err != nil || n < 1 || n > f.to {
			return fmt.Errorf("%s: %s is no step: write a number from 1 to %d", f.name, quoted(part), f.to)
		}
	}
	if span == "*" {
		return nil
	}
	low, high, ranged := strings.Cut(span, "-")
	from, ok := f.value(low)
	to := from
	if ranged && ok {
		to, ok = f.value(high)
	}
	if !ok || to < from {
		return fmt.Errorf("%s: %s is none: write numbers from %d to %d, as 5, 1-5, */10 or 1,15", f.name, quoted(part), f.from, f.to)
	}
	return nil
}

func (f cronField) value(s string) (int, bool) {
	if i := slices.Index(f.words, strings.ToLower(s)); i >= 0 {
		return f.from + i, true
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= f.from && n <= f.to && strings.Trim(s, "0123456789") == ""
}
