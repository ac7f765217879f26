package memory

import (
	"maps"
	"slices"

	"github.com/durafleet/durafleet/internal/storage"
)

// table holds rows by partition key.
type table struct {
	name       string
	partitions map[string]*partition
	keys       []string // of partitions, in order; nil if not known
}

// partition holds the rows of one partition key in the order of their row keys. A stored row
// is never changed, only exchanged.
type partition struct{ rows []*storage.Row }

func (p *partition) search(rowKey string) (int, bool) {
	return slices.BinarySearchFunc(p.rows, rowKey, func(row *storage.Row, key string) int {
		return storage.CompareText(row.RowKey, key)
	})
}

func (t *table) find(partitionKey, rowKey string) *storage.Row {
	p, ok := t.partitions[partitionKey]
	if !ok {
		return nil
	}
	if i, found := p.search(rowKey); found {
		return p.rows[i]
	}
	return nil
}

func (t *table) put(row *storage.Row) {
	p, ok := t.partitions[row.PartitionKey]
	if !ok {
		p = &partition{}
		t.partitions[row.PartitionKey] = p
		t.keys = nil
	}
	i, found := p.search(row.RowKey)
	if found {
		p.rows[i] = row
	} else {
		p.rows = slices.Insert(p.rows, i, row)
	}
}

// remove takes an existing row out.
func (t *table) remove(partitionKey, rowKey string) {
	p := t.partitions[partitionKey]
	i, _ := p.search(rowKey)
	p.rows = slices.Delete(p.rows, i, i+1)
	if len(p.rows) > 0 {
		return
	}
	delete(t.partitions, partitionKey)
	t.keys = nil
}

// sortedKeys returns the partition keys in order. They are put in order by the first scan after a
// partition came or went: many writes go between two scans.
func (t *table) sortedKeys() []string {
	if t.keys == nil {
		t.keys = slices.SortedFunc(maps.Keys(t.partitions), storage.CompareText)
	}
	return t.keys
}

// position is a place in the order of rows.
type position struct{ PartitionKey, RowKey string }

// scan calls visit for the rows from a position on, in order, until visit returns false. If only is not
// nil, it stays in that partition.
func (t *table) scan(from position, only *string, visit func(*storage.Row) bool) {
	var keys []string
	if only == nil {
		keys = t.sortedKeys()
	} else if _, ok := t.partitions[*only]; ok {
		keys = []string{*only}
	}
	start, _ := slices.BinarySearchFunc(keys, from.PartitionKey, storage.CompareText)
	for _, key := range keys[start:] {
		rows := t.partitions[key].rows
		if key == from.PartitionKey {
			i, _ := t.partitions[key].search(from.RowKey)
			rows = rows[i:]
		}
		for _, row := range rows {
			if !visit(row) {
				return
			}
		}
	}
}
