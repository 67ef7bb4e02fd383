package password

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

//go:embed blocklist/passwords.txt.gz
var packed []byte

// common is the most common passwords of public leaks, folded. It is unpacked
// when it is first asked for: 20 ms and 3 MB.
var common = sync.OnceValue(func() map[string]struct{} {
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		panic(fmt.Sprintf("password: embedded list: %v", err))
	}
	list, err := io.ReadAll(reader)
	if err != nil {
		panic(fmt.Sprintf("password: embedded list: %v", err))
	}
	lines := strings.Split(strings.TrimSuffix(string(list), "\n"), "\n")
	known := make(map[string]struct{}, len(lines))
	for _, line := range lines {
		known[line] = struct{}{}
	}
	return known
})

// around is how many digits and signs before and behind a common password
// leave it a common one.
const around = 8

// isCommon reports whether a folded password is one of the most common, or one
// of them with digits and signs around it and in place of letters: what people
// make of "password" when a rule asks for more.
func isCommon(folded string) bool {
	tail := strings.TrimRightFunc(folded, notLetter)
	for _, core := range []string{folded, tail, strings.TrimLeftFunc(folded, notLetter), strings.TrimLeftFunc(tail, notLetter)} {
		if utf8.RuneCountInString(folded)-utf8.RuneCountInString(core) <= around && (inList(core) || inList(spoken.Replace(core))) {
			return true
		}
	}
	return false
}

func inList(s string) bool {
	_, known := common()[s]
	return known
}

func notLetter(r rune) bool { return !unicode.IsLetter(r) }

// spoken undoes the usual signs in place of letters.
var spoken = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i")
