package azure

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"github.com/durafleet/durafleet/internal/storage"
)

// Read implements storage.Tables.
func (p *tables) Read(ctx context.Context, table, partitionKey, rowKey string, columns ...string) (storage.Row, error) {
	if err := checkTable(storage.TableRead, table, partitionKey, rowKey); err != nil {
		return storage.Row{}, err
	}
	if err := storage.CheckQuery(table, storage.Query{Columns: columns}); err != nil {
		return storage.Row{}, err
	}
	ctx, c := begin(ctx, storage.TableRead, table)
	response, err := p.send(ctx, request{
		method: http.MethodGet,
		path:   rowPath(table, partitionKey, rowKey),
		query:  selection(columns),
	})
	if err != nil {
		return storage.Row{}, c.failure(ctx, err)
	}
	body, err := runtime.Payload(response)
	if err != nil {
		return storage.Row{}, c.failure(ctx, err)
	}
	row, err := decodeRow(body)
	if err != nil {
		return storage.Row{}, c.failure(ctx, err)
	}
	if etag := response.Header.Get(headerETag); etag != "" {
		row.ETag = storage.ETag(etag)
	}
	// What a restricted read does not repeat is known.
	row.PartitionKey, row.RowKey = partitionKey, rowKey
	return row, nil
}

func checkTable(op storage.Kind, table, partitionKey, rowKey string) error {
	if err := storage.CheckTableName(op, table); err != nil {
		return err
	}
	return storage.CheckKeys(op, table, partitionKey, rowKey)
}

// selection asks for some columns, and for the keys, which make a row.
func selection(columns []string) url.Values {
	query := url.Values{}
	if len(columns) > 0 {
		query.Set("$select", strings.Join(append([]string{"PartitionKey", "RowKey", "Timestamp"}, columns...), ","))
	}
	return query
}

// Query implements storage.Tables.
func (p *tables) Query(ctx context.Context, table string, query storage.Query) (storage.Page, error) {
	parameters, err := queryParameters(table, query)
	if err != nil {
		return storage.Page{}, err
	}
	ctx, c := begin(ctx, storage.TableQuery, table)
	response, err := p.send(ctx, request{method: http.MethodGet, path: table + "()", query: parameters})
	if err != nil {
		return storage.Page{}, c.failure(ctx, err)
	}
	var list struct{ Value []json.RawMessage }
	if err := runtime.UnmarshalAsJSON(response, &list); err != nil {
		return storage.Page{}, c.failure(ctx, err)
	}
	page := storage.Page{Date: responseDate(response.Header), Next: continuation(response.Header)}
	for _, raw := range list.Value {
		row, err := decodeRow(raw)
		if err != nil {
			return storage.Page{}, c.failure(ctx, err)
		}
		page.Rows = append(page.Rows, row)
	}
	return page, nil
}

func queryParameters(table string, query storage.Query) (url.Values, error) {
	if err := storage.CheckTableName(storage.TableQuery, table); err != nil {
		return nil, err
	}
	if err := storage.CheckQuery(table, query); err != nil {
		return nil, err
	}
	parameters := selection(query.Columns)
	if query.Filter != nil {
		parameters.Set("$filter", filterText(query.Filter))
	}
	if query.Limit > 0 {
		parameters.Set("$top", strconv.Itoa(query.Limit))
	}
	if query.Next != "" {
		keys, err := base64.RawURLEncoding.DecodeString(query.Next)
		var next url.Values
		if err == nil {
			next, err = url.ParseQuery(string(keys))
		}
		if err != nil {
			return nil, storage.Refusal(storage.TableQuery, table, storage.ErrInvalid, "continuation token %q", query.Next)
		}
		for _, name := range []string{parameterNextKey, parameterNextRow} {
			if next.Has(name) {
				parameters.Set(name, next.Get(name))
			}
		}
	}
	return parameters, nil
}

// continuation makes a token of the headers that say where a query goes on.
func continuation(header http.Header) string {
	next := url.Values{}
	if key := header.Get(headerNextKey); key != "" {
		next.Set(parameterNextKey, key)
	}
	if row := header.Get(headerNextRow); row != "" {
		next.Set(parameterNextRow, row)
	}
	if len(next) == 0 {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(next.Encode()))
}
