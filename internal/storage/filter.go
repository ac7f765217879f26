package storage

import (
	"cmp"
	"time"
)

// Matches reports whether the row satisfies the filter. A nil filter matches every row.
func Matches(filter Filter, row Row) bool {
	switch f := filter.(type) {
	case nil:
		return true
	case Compare:
		return f.matches(row)
	case And:
		for _, part := range f {
			if !Matches(part, row) {
				return false
			}
		}
		return true
	case Or:
		for _, part := range f {
			if Matches(part, row) {
				return true
			}
		}
		return false
	}
	return false
}

func (c Compare) matches(row Row) bool {
	order, comparable := compareValues(column(row, c.Column), c.Value)
	if !comparable {
		return false
	}
	switch c.Operator {
	case Equal:
		return order == 0
	case NotEqual:
		return order != 0
	case Less:
		return order < 0
	case LessOrEqual:
		return order <= 0
	case Greater:
		return order > 0
	case GreaterOrEqual:
		return order >= 0
	}
	return false
}

func column(row Row, name string) any {
	switch name {
	case "PartitionKey":
		return row.PartitionKey
	case "RowKey":
		return row.RowKey
	case "Timestamp":
		return row.Timestamp
	}
	return row.Values[name]
}

// compareValues orders two property values. Numbers of different types compare by value; other
// mixed pairs, and a missing value, do not compare.
func compareValues(a, b any) (order int, comparable bool) {
	switch a := a.(type) {
	case string:
		if b, ok := b.(string); ok {
			return CompareText(a, b), true
		}
	case bool:
		if b, ok := b.(bool); ok {
			return cmp.Compare(rank(a), rank(b)), true
		}
	case time.Time:
		if b, ok := b.(time.Time); ok {
			return RoundTime(a).Compare(RoundTime(b)), true
		}
	case float64:
		if b, ok := whole(b); ok {
			return cmp.Compare(a, float64(b)), true
		}
	default:
		x, ok := whole(a)
		y, ok2 := whole(b)
		return cmp.Compare(x, y), ok && ok2
	}
	return 0, false
}

func rank(b bool) int {
	if b {
		return 1
	}
	return 0
}

func whole(v any) (int64, bool) {
	switch v := v.(type) {
	case int32:
		return int64(v), true
	case int64:
		return v, true
	}
	return 0, false
}

// RoundTime returns t in UTC with the resolution of the table service, 100 ns.
func RoundTime(t time.Time) time.Time { return t.UTC().Truncate(100 * time.Nanosecond) }

// CheckFilter refuses a filter that the service would not understand: an empty And or Or, an
// unknown operator, a missing column or a value of another type than Compare allows.
func CheckFilter(op Kind, table string, filter Filter) error {
	switch f := filter.(type) {
	case nil:
		return nil
	case Compare:
		return f.check(op, table)
	case And:
		return checkParts(op, table, f)
	case Or:
		return checkParts(op, table, f)
	}
	return Refusal(op, table, ErrInvalid, "filter of type %T", filter)
}

func checkParts(op Kind, table string, parts []Filter) error {
	if len(parts) == 0 {
		return Refusal(op, table, ErrInvalid, "filter without parts")
	}
	for _, part := range parts {
		if part == nil {
			return Refusal(op, table, ErrInvalid, "nil part in a filter")
		}
		if err := CheckFilter(op, table, part); err != nil {
			return err
		}
	}
	return nil
}

func (c Compare) check(op Kind, table string) error {
	switch c.Operator {
	case Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual:
	default:
		return Refusal(op, table, ErrInvalid, "filter operator %q", c.Operator)
	}
	if !columnName(c.Column) {
		return Refusal(op, table, ErrInvalid, "filter column %q", c.Column)
	}
	switch c.Value.(type) {
	case string, bool, int32, int64, time.Time:
		return nil
	}
	return Refusal(op, table, ErrInvalid, "filter value of type %T for column %s", c.Value, c.Column)
}

// CheckQuery refuses a query with a bad limit, column or filter, with ErrInvalid.
func CheckQuery(table string, query Query) error {
	if query.Limit < 0 || query.Limit > MaxPage {
		return Refusal(TableQuery, table, ErrInvalid, "page of %d rows, must be 1 to %d", query.Limit, MaxPage)
	}
	for _, name := range query.Columns {
		if !columnName(name) {
			return Refusal(TableQuery, table, ErrInvalid, "column name %q", name)
		}
	}
	return CheckFilter(TableQuery, table, query.Filter)
}
