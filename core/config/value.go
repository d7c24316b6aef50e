package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Valid says which values a key allows beyond those of its type.
type Valid struct {
	Values   []string // allowed strings, or allowed elements of a list
	Min, Max int64    // bounds of a number, both inclusive, if Bounded
	Bounded  bool
	NotZero  bool // zero lies within the bounds, but is refused
}

func atLeast(n int64) Valid { return Valid{Min: n, Max: math.MaxInt64, Bounded: true} }

func between(low, high int64) Valid { return Valid{Min: low, Max: high, Bounded: true} }

func notZero(v Valid) Valid {
	v.NotZero = true
	return v
}

func oneOf(values ...string) Valid { return Valid{Values: values} }

// String says in words what is allowed; it is empty if everything is.
func (v Valid) String() string {
	switch {
	case len(v.Values) > 0:
		return "one of " + strings.Join(v.Values, ", ")
	case v.Bounded && v.Max == math.MaxInt64:
		return "at least " + strconv.FormatInt(v.Min, 10)
	case v.NotZero:
		return fmt.Sprintf("from %d to %d, but not 0", v.Min, v.Max)
	case v.Bounded:
		return fmt.Sprintf("from %d to %d", v.Min, v.Max)
	}
	return ""
}

// ValueError says that a value is not allowed for a key.
type ValueError struct {
	Name    string
	Value   string
	Allowed string
}

// Error names the key, the value and what is allowed instead.
func (e *ValueError) Error() string {
	return fmt.Sprintf("invalid value %q for configuration %s: expected %s",
		e.Value, e.Name, e.Allowed)
}

func (k *Key) refuse(value, allowed string) error {
	return &ValueError{Name: k.Name, Value: value, Allowed: allowed}
}

// check returns an error unless value is of the key's type and allowed.
func (k *Key) check(value string, small bool) error {
	switch k.Type {
	case Boolean:
		_, err := k.parseBool(value)
		return err
	case Int, Short, Long:
		_, err := k.parseInt(value, small)
		return err
	case Double:
		_, err := k.parseMillionths(value)
		return err
	case List:
		return k.checkList(value)
	case String, Class, Password:
		if len(k.Valid.Values) > 0 && !slices.Contains(k.Valid.Values, value) {
			return k.refuse(value, k.Valid.String())
		}
	}
	return nil
}

func (k *Key) parseBool(value string) (bool, error) {
	switch strings.ToLower(strings.TrimSpace(value)) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, k.refuse(value, "true or false")
}

func (k *Key) parseInt(value string, small bool) (int64, error) {
	bits := 64
	switch k.Type {
	case Short:
		bits = 16
	case Int:
		bits = 32
	default: // Long
	}
	n, err := strconv.ParseInt(strings.TrimSpace(value), 10, bits)
	if err != nil {
		return 0, k.refuse(value, "a number of type "+k.Type.String())
	}
	v := k.Valid
	if small && k.SmallMin != 0 {
		v.Min = k.SmallMin
	}
	if v.Bounded && (n < v.Min || n > v.Max || n == 0 && v.NotZero) {
		return 0, k.refuse(value, "a number, "+v.String())
	}
	return n, nil
}

// parseMillionths reads a decimal fraction as millionths. Values too large for that
// are cut off.
func (k *Key) parseMillionths(value string) (int64, error) {
	f, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if err != nil || math.IsNaN(f) {
		return 0, k.refuse(value, "a number of type double")
	}
	if v := k.Valid; v.Bounded && (f < float64(v.Min) || f > float64(v.Max)) {
		return 0, k.refuse(value, "a number, "+v.String())
	}
	const most = 1 << 62
	return int64(math.Round(max(-most, min(most, f*1e6)))), nil
}

func (k *Key) checkList(value string) error {
	for _, element := range SplitList(value) {
		if len(k.Valid.Values) > 0 && !slices.Contains(k.Valid.Values, element) {
			return k.refuse(value, "elements that are each "+k.Valid.String())
		}
	}
	return nil
}

// SplitList returns the elements of a list value, without the spaces around them.
// An empty value is an empty list.
func SplitList(value string) []string {
	value = strings.TrimSpace(value)
	if value == "" {
		return nil
	}
	parts := strings.Split(value, ",")
	for i, part := range parts {
		parts[i] = strings.TrimSpace(part)
	}
	return parts
}

// AppendList adds the elements of values to a list value, those already in it
// excepted, as the operation APPEND of IncrementalAlterConfigs does.
func AppendList(current, values string) string {
	list := nonEmpty(SplitList(current))
	for _, v := range SplitList(values) {
		if !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return strings.Join(list, ",")
}

// SubtractList removes the elements of values from a list value, as the operation
// SUBTRACT of IncrementalAlterConfigs does.
func SubtractList(current, values string) string {
	list := nonEmpty(SplitList(current))
	for _, v := range SplitList(values) {
		if i := slices.Index(list, v); i >= 0 {
			list = slices.Delete(list, i, i+1)
		}
	}
	return strings.Join(list, ",")
}

func nonEmpty(list []string) []string {
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}
