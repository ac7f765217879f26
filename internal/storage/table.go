package storage

import (
	"context"
	"time"
)

// Limits of the table service.
const (
	// MaxTransaction is the largest number of operations in one transaction.
	MaxTransaction = 100
	// MaxTransactionBytes is the largest transaction.
	MaxTransactionBytes = 4 * 1024 * 1024
	// MaxStringUnits is the largest string property in UTF-16 code units.
	MaxStringUnits = 32 * 1024
	// MaxPage is the largest number of rows in one page of a query.
	MaxPage = 1000
)

// ETag identifies a version of a row or blob. AnyETag matches every version.
type ETag string

// AnyETag makes a write unconditional on the version, not on existence.
const AnyETag ETag = "*"

// Row is a table entity. Property values are string, bool, int32, int64, float64, time.Time or
// []byte and keep their EDM type; a nil value is left out on writes and never read. Times are
// stored with a resolution of 100 ns.
type Row struct {
	PartitionKey string
	RowKey       string
	// ETag and Timestamp are set on rows that were read.
	ETag      ETag
	Timestamp time.Time
	Values    map[string]any
}

// Tables is the table port. All methods may be called concurrently.
type Tables interface {
	// CreateTable creates the table if it does not exist. A table deleted a moment ago answers
	// ErrBeingDeleted.
	CreateTable(ctx context.Context, table string) error
	// DeleteTable deletes the table with its rows. ErrNotFound if there is none.
	DeleteTable(ctx context.Context, table string) error
	// ListTables returns the names of all tables of the account.
	ListTables(ctx context.Context) ([]string, error)

	// Read returns one row. ErrNotFound if the row or the table does not exist. The list of
	// columns is optional and restricts what is returned.
	Read(ctx context.Context, table, partitionKey, rowKey string, columns ...string) (Row, error)
	// Query returns one page of rows in key order. A page may be empty and still have a Next.
	Query(ctx context.Context, table string, query Query) (Page, error)

	// Insert adds a row. ErrExists if there is one under its keys.
	Insert(ctx context.Context, table string, row Row) (ETag, error)
	// Merge writes the given columns of an existing row and keeps the others. With an ETag,
	// ErrPrecondition if the version differs, ErrNotFound if the row is gone; with an empty ETag
	// it is an insert-or-merge.
	Merge(ctx context.Context, table string, row Row, etag ETag) (ETag, error)
	// Replace is like Merge, but columns that are not given vanish.
	Replace(ctx context.Context, table string, row Row, etag ETag) (ETag, error)
	// Delete removes a row of the given version. ErrNotFound, ErrPrecondition as in Merge, but
	// ErrInvalid with an empty ETag.
	Delete(ctx context.Context, table, partitionKey, rowKey string, etag ETag) error

	// Transact applies up to MaxTransaction operations on rows of one partition key, all or
	// none, and returns an ETag for each (empty for deletes). A failed condition is reported
	// like that of the single operation. The transaction is sent once if once is true: an
	// unclear outcome is then reported as Ambiguous instead of being retried.
	Transact(ctx context.Context, table string, operations []Operation, once bool) ([]ETag, error)
}

// Action says what an Operation of a transaction does.
type Action int

// The actions of a transaction. InsertOrReplace and InsertOrMerge take no ETag, the others that
// change an existing row need one (AnyETag for any version).
const (
	Insert Action = iota + 1
	InsertOrReplace
	InsertOrMerge
	Merge
	Replace
	Delete
)

// Operation is one step of a transaction.
type Operation struct {
	Action Action
	Row    Row
	ETag   ETag
}

// Query selects rows of a table.
type Query struct {
	// Filter restricts the rows; nil selects all.
	Filter Filter
	// Columns restricts the columns; empty means all.
	Columns []string
	// Limit is the page size, 1 to MaxPage; 0 means MaxPage.
	Limit int
	// Next is the Page.Next of the page before, empty for the first page.
	Next string
}

// Page is one page of a query's result.
type Page struct {
	Rows []Row
	// Next continues the query; empty on the last page. It is opaque text fit for a URL query.
	Next string
	// Date is the service's clock when it answered, in whole seconds.
	Date time.Time
}

// Comparison is an OData comparison operator.
type Comparison string

// The comparison operators.
const (
	Equal          Comparison = "eq"
	NotEqual       Comparison = "ne"
	Less           Comparison = "lt"
	LessOrEqual    Comparison = "le"
	Greater        Comparison = "gt"
	GreaterOrEqual Comparison = "ge"
)

// Filter is a condition on rows. It is one of Compare, And and Or.
type Filter interface{ filter() }

// Compare is true when the row has the column and it compares to Value (string, bool, int32,
// int64 or time.Time) as asked. PartitionKey, RowKey and Timestamp are columns, too. Strings
// compare by their UTF-16 code units.
type Compare struct {
	Column   string
	Operator Comparison
	Value    any
}

// And is true when all its parts are. It needs at least one part.
type And []Filter

// Or is true when one of its parts is. It needs at least one part.
type Or []Filter

func (Compare) filter() {}
func (And) filter()     {}
func (Or) filter()      {}

// All reads every page of a query.
func All(ctx context.Context, tables Tables, table string, query Query) ([]Row, time.Time, error) {
	var rows []Row
	for {
		page, err := tables.Query(ctx, table, query)
		if err != nil {
			return nil, time.Time{}, err
		}
		rows = append(rows, page.Rows...)
		if page.Next == "" {
			return rows, page.Date, nil
		}
		query.Next = page.Next
	}
}
