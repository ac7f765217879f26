package storage

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The limits of rows that callers do not plan with.
const (
	maxKeyUnits    = 512 // 1 KiB of UTF-16
	maxBinary      = 64 * 1024
	maxRowBytes    = 1024 * 1024
	maxColumns     = 252
	maxColumnName  = 255
	firstYear      = 1601
	lastYear       = 9999
	operationBytes = 700 // headers, URL and boundaries of one operation in a transaction, roughly
)

// CheckKeys refuses keys that no row can have, with ErrInvalid. Empty keys are legal.
func CheckKeys(op Kind, table, partitionKey, rowKey string) error {
	for _, key := range []string{partitionKey, rowKey} {
		if textUnits(key) > maxKeyUnits {
			return Refusal(op, table, ErrInvalid, "key of %d characters, at most %d", textUnits(key), maxKeyUnits)
		}
		if !utf8.ValidString(key) || strings.ContainsFunc(key, forbiddenInKey) {
			return Refusal(op, table, ErrInvalid, "key %q holds a character keys cannot have", key)
		}
	}
	return nil
}

func forbiddenInKey(r rune) bool {
	return strings.ContainsRune(`/\#?`, r) || unicode.IsControl(r)
}

// CheckRow refuses a row that breaks a limit of the service: ErrTooLarge for sizes, ErrInvalid
// for keys, names and values.
func CheckRow(op Kind, table string, row Row) error {
	if err := CheckKeys(op, table, row.PartitionKey, row.RowKey); err != nil {
		return err
	}
	size := 4 + 2*(textUnits(row.PartitionKey)+textUnits(row.RowKey))
	columns := 0
	for name, value := range row.Values {
		if value == nil {
			continue
		}
		n, err := checkColumn(op, table, name, value)
		if err != nil {
			return err
		}
		columns++
		size += 8 + 2*textUnits(name) + n
	}
	if columns > maxColumns {
		return Refusal(op, table, ErrInvalid, "row of %d columns, at most %d", columns, maxColumns)
	}
	if size > maxRowBytes {
		return Refusal(op, table, ErrTooLarge, "row of %d bytes, at most %d", size, maxRowBytes)
	}
	return nil
}

// checkColumn returns the stored size of a value.
func checkColumn(op Kind, table, name string, value any) (int, error) {
	if !columnName(name) || name == "PartitionKey" || name == "RowKey" || name == "Timestamp" {
		return 0, Refusal(op, table, ErrInvalid, "column name %q", name)
	}
	switch v := value.(type) {
	case string:
		units := textUnits(v)
		if units > MaxStringUnits {
			return 0, Refusal(op, table, ErrTooLarge, "column %s of %d UTF-16 units, at most %d", name, units, MaxStringUnits)
		}
		if !utf8.ValidString(v) {
			return 0, Refusal(op, table, ErrInvalid, "column %s is not UTF-8", name)
		}
		return 4 + 2*units, nil
	case []byte:
		if len(v) > maxBinary {
			return 0, Refusal(op, table, ErrTooLarge, "column %s of %d bytes, at most %d", name, len(v), maxBinary)
		}
		return 4 + len(v), nil
	case time.Time:
		if year := v.UTC().Year(); year < firstYear || year > lastYear {
			return 0, Refusal(op, table, ErrInvalid, "column %s of year %d, must be %d to %d", name, year, firstYear, lastYear)
		}
		return 8, nil
	case bool:
		return 1, nil
	case int32:
		return 4, nil
	case int64, float64:
		return 8, nil
	}
	return 0, Refusal(op, table, ErrInvalid, "column %s of type %T", name, value)
}

func columnName(name string) bool {
	for i, r := range name {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return false
		}
	}
	return name != "" && len(name) <= maxColumnName
}

// CheckOperations refuses a transaction that the service would refuse whatever the table holds:
// ErrInvalid if it is empty, mixes partition keys, names a row twice or has ETags where they do not
// belong, ErrTooLarge if it has too many operations or bytes; and what CheckRow refuses.
func CheckOperations(table string, operations []Operation) error {
	if len(operations) == 0 {
		return Refusal(TableTransact, table, ErrInvalid, "empty transaction")
	}
	if len(operations) > MaxTransaction {
		return Refusal(TableTransact, table, ErrTooLarge, "transaction of %d operations, at most %d", len(operations), MaxTransaction)
	}
	size := 0
	seen := make(map[string]bool, len(operations))
	for i, operation := range operations {
		row := operation.Row
		if row.PartitionKey != operations[0].Row.PartitionKey {
			return Refusal(TableTransact, table, ErrInvalid, "operation %d has another partition key", i)
		}
		if seen[row.RowKey] {
			return Refusal(TableTransact, table, ErrInvalid, "operation %d names row %q again", i, row.RowKey)
		}
		seen[row.RowKey] = true
		if err := checkOperation(table, i, operation); err != nil {
			return err
		}
		size += wireSize(row)
	}
	if size > MaxTransactionBytes {
		return Refusal(TableTransact, table, ErrTooLarge, "transaction of about %d bytes, at most %d", size, MaxTransactionBytes)
	}
	return nil
}

func checkOperation(table string, i int, operation Operation) error {
	switch operation.Action {
	case Insert, InsertOrReplace, InsertOrMerge:
		if operation.ETag != "" {
			return Refusal(TableTransact, table, ErrInvalid, "operation %d inserts and has an ETag", i)
		}
	case Merge, Replace, Delete:
		if operation.ETag == "" {
			return Refusal(TableTransact, table, ErrInvalid, "operation %d changes a row and has no ETag", i)
		}
	default:
		return Refusal(TableTransact, table, ErrInvalid, "operation %d has the unknown action %d", i, operation.Action)
	}
	if operation.Action == Delete {
		return CheckKeys(TableTransact, table, operation.Row.PartitionKey, operation.Row.RowKey)
	}
	return CheckRow(TableTransact, table, operation.Row)
}

// wireSize estimates the bytes that a row takes in the body of a transaction.
func wireSize(row Row) int {
	size := operationBytes + 2*(len(row.PartitionKey)+len(row.RowKey))
	for name, value := range row.Values {
		size += len(name) + 6
		switch v := value.(type) {
		case string:
			size += jsonSize(v)
		case []byte:
			size += len(name) + 24 + len(v)*4/3
		default:
			size += len(name) + 60
		}
	}
	return size
}

// jsonSize is the size of s in JSON, without the quotes around it.
func jsonSize(s string) int {
	n := len(s)
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			n++
		case r < ' ':
			n += 5
		case r == '\u2028' || r == '\u2029':
			n += 3
		}
	}
	return n
}
