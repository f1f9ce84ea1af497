package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// placeholders are what a script may write in the place of a value.
var placeholders = map[string]*regexp.Regexp{
	"<any>":    regexp.MustCompile(`(?s)^.*$`),
	"<some>":   regexp.MustCompile(`(?s)^.+$`),
	"<none>":   regexp.MustCompile(`^$`),
	"<number>": regexp.MustCompile(`^-?[0-9.eE+-]+$`),
	"<time>":   regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`),
	"<uuid>":   regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`),
}

// capture is "<uuid as name>": a placeholder whose value later steps can use.
var capture = regexp.MustCompile(`^(<\w+)(?: as (\w+))?>$`)

// matchText compares text, which may be a placeholder or hold one between other
// text as "…<some>…".
func matchText(want, got string, variables map[string]string) error {
	if part := capture.FindStringSubmatch(want); part != nil {
		form := placeholders[part[1]+">"]
		if form == nil {
			return fmt.Errorf("%s is no placeholder", want)
		}
		if !form.MatchString(got) {
			return fmt.Errorf("got %q, want %s", got, want)
		}
		if part[2] != "" {
			variables[part[2]] = got
		}
		return nil
	}
	if before, after, ok := strings.Cut(want, "<some>"); ok {
		if len(got) > len(before)+len(after) && strings.HasPrefix(got, before) && strings.HasSuffix(got, after) {
			return nil
		}
		return fmt.Errorf("got %q, want %q", got, want)
	}
	if got != want {
		return fmt.Errorf("got %q, want %q", got, want)
	}
	return nil
}

// matchBody compares a body with what a script wants: JSON by value, with the
// same keys and no others, anything else as text.
func matchBody(want, got string, variables map[string]string) error {
	wantValue, err := decode(want)
	if err != nil {
		return matchText(want, got, variables)
	}
	gotValue, err := decode(got)
	if err != nil {
		return fmt.Errorf("not JSON: %w", err)
	}
	return match("", wantValue, gotValue, variables)
}

func decode(text string) (any, error) {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, errors.New("more than one value")
	}
	return v, nil
}

func match(path string, want, got any, variables map[string]string) error {
	switch want := want.(type) {
	case map[string]any:
		return matchObject(path, want, got, variables)
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return fmt.Errorf("%s: got %v, want %d elements", path, got, len(want))
		}
		var errs []error
		for i := range want {
			errs = append(errs, match(fmt.Sprintf("%s[%d]", path, i), want[i], list[i], variables))
		}
		return errors.Join(errs...)
	case string:
		text, isText := got.(string)
		number, isNumber := got.(json.Number)
		switch {
		case want == "<any>":
			return nil
		case isText:
			return at(path, matchText(want, text, variables))
		case isNumber && want == "<number>":
			return at(path, matchText(want, number.String(), variables))
		}
	}
	if got != want {
		return fmt.Errorf("%s: got %v, want %v", path, got, want)
	}
	return nil
}

func matchObject(path string, want map[string]any, got any, variables map[string]string) error {
	object, ok := got.(map[string]any)
	if !ok {
		return fmt.Errorf("%s: got %v, want an object", path, got)
	}
	var errs []error
	for key, value := range want {
		if _, ok := object[key]; !ok {
			errs = append(errs, fmt.Errorf("%s.%s: missing", path, key))
			continue
		}
		errs = append(errs, match(path+"."+key, value, object[key], variables))
	}
	for key := range object {
		if _, ok := want[key]; !ok {
			errs = append(errs, fmt.Errorf("%s.%s: not wanted", path, key))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return errors.Join(errs...)
}

func at(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", path, err)
}
