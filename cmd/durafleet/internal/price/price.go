// Package price turns numbers of storage requests into money, by a table that people can edit.
package price

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/durafleet/durafleet/internal/storage"
)

// Table says what requests cost.
type Table struct {
	// Note is for people.
	Note string `json:"note,omitempty"`
	// Currency is what the prices are in.
	Currency string `json:"currency"`
	// Per is for how many requests a price is.
	Per float64 `json:"per"`
	// HoursPerMonth is how long a month is for projections.
	HoursPerMonth float64 `json:"hoursPerMonth"`
	// Requests are the prices: by class, or by kind where one differs from its class.
	Requests map[string]float64 `json:"requests"`
}

// The classes of requests, as price lists have them.
const (
	queues     = "queue"
	tables     = "table"
	blobWrite  = "blob.write"
	blobRead   = "blob.read"
	blobList   = "blob.list"
	blobOther  = "blob.other"
	blobDelete = "blob.delete"
	retry      = "retry"
)

var classes = map[string]string{
	queues:     "everything about queues",
	tables:     "everything about tables; a transaction is one request",
	blobWrite:  "blob.put",
	blobRead:   "blob.get",
	blobList:   "blob.list and blob.admin",
	blobOther:  "blob.lease",
	blobDelete: "blob.delete",
	retry:      "retry: requests sent again, of whatever kind",
}

// Default returns example prices: list prices of a general-purpose v2 account, locally redundant, hot
// tier, as they were published for regions in the United States. Prices differ by region, redundancy,
// agreement and year.
func Default() *Table {
	return &Table{
		Note: "Examples: list prices of a general-purpose v2 account, locally redundant, hot tier. " +
			"Look yours up and edit them. Keys are classes, or kinds such as queue.put.",
		Currency: "USD", Per: 10_000, HoursPerMonth: 730,
		Requests: map[string]float64{
			queues: 0.004, tables: 0.00036,
			blobWrite: 0.05, blobRead: 0.004, blobList: 0.05, blobOther: 0.004, blobDelete: 0,
			retry: 0.004,
		},
	}
}

// maxFile bounds what is read of a table.
const maxFile = 1 << 20

// ErrTable reports a table that cannot be used. The error names the value and the rule.
var ErrTable = errors.New("price table")

func broken(format string, arguments ...any) error {
	return fmt.Errorf("%w: %s", ErrTable, fmt.Sprintf(format, arguments...))
}

// Read reads a table. The error matches ErrTable if it is none.
func Read(r io.Reader) (*Table, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read price table: %w", err)
	case len(data) > maxFile:
		return nil, broken("it is larger than %d bytes", maxFile)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	t := &Table{}
	if err := decoder.Decode(t); err != nil {
		return nil, broken("it is not JSON of the form that --print-prices shows: %v", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, broken("there is something behind its end")
	}
	return t, t.check()
}

func (t *Table) check() error {
	switch {
	case strings.TrimSpace(t.Currency) == "":
		return broken("currency is empty; it must be a text such as USD")
	case t.Per <= 0:
		return broken("per is %v; it must be a positive number of requests", t.Per)
	case t.HoursPerMonth <= 0 || t.HoursPerMonth > 744:
		return broken("hoursPerMonth is %v; it must be above 0 and at most 744", t.HoursPerMonth)
	}
	for _, key := range slices.Sorted(maps.Keys(t.Requests)) {
		if classes[key] == "" && !slices.Contains(storage.Kinds(), storage.Kind(key)) {
			return broken("requests: %q is neither a class (%s) nor a kind such as queue.put",
				key, strings.Join(slices.Sorted(maps.Keys(classes)), ", "))
		}
		if price := t.Requests[key]; price < 0 {
			return broken("requests: the price of %s is %v; it must not be negative", key, price)
		}
	}
	for _, class := range slices.Sorted(maps.Keys(classes)) {
		if _, priced := t.Requests[class]; !priced {
			return broken("requests: %q is missing; it is the price of %s", class, classes[class])
		}
	}
	return nil
}

// classOf returns the class of a kind.
func classOf(kind string) string {
	switch storage.Kind(kind) {
	case storage.BlobPut:
		return blobWrite
	case storage.BlobGet:
		return blobRead
	case storage.BlobDelete:
		return blobDelete
	case storage.BlobLease:
		return blobOther
	case storage.BlobList, storage.BlobAdmin:
		return blobList
	case storage.Retry:
		return retry
	}
	service, _, _ := strings.Cut(kind, ".")
	return service
}

// Of returns what a number of requests of a kind costs. A kind that the table does not know costs
// as much as one that was sent again.
func (t *Table) Of(kind string, requests float64) float64 {
	price, priced := t.Requests[kind]
	if !priced {
		price, priced = t.Requests[classOf(kind)]
	}
	if !priced {
		price = t.Requests[retry]
	}
	return requests / t.Per * price
}
