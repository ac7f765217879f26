package azure

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"

	"github.com/durafleet/durafleet/internal/storage"
)

const (
	tableVersion     = "2020-12-06"
	dataVersion      = "3.0"
	acceptMinimal    = "application/json;odata=minimalmetadata"
	jsonContent      = "application/json;odata=nometadata"
	preferNoContent  = "return-no-content"
	moduleName       = "durafleet-tables"
	moduleVersion    = "v1.0.0"
	headerIfMatch    = "If-Match"
	headerErrorCode  = "x-ms-error-code"
	headerETag       = "ETag"
	headerNextKey    = "x-ms-continuation-NextPartitionKey"
	headerNextRow    = "x-ms-continuation-NextRowKey"
	headerNextTable  = "x-ms-continuation-NextTableName"
	parameterNextKey = "NextPartitionKey"
	parameterNextRow = "NextRowKey"
)

type tables struct {
	pipeline runtime.Pipeline
	base     string // the endpoint without a query
	sas      string // the endpoint's query
	once     policy.RetryOptions
	ascii    bool // write bodies in ASCII
}

func newTables(endpoint *url.URL, signer policy.Policy, settings settings) *tables {
	options := settings.client()
	var perRetry []policy.Policy
	if signer != nil {
		perRetry = append(perRetry, signer)
	}
	base := *endpoint
	base.RawQuery = ""
	once := settings.retry
	once.MaxRetries = -1
	return &tables{
		pipeline: runtime.NewPipeline(moduleName, moduleVersion, runtime.PipelineOptions{PerRetry: perRetry}, &options),
		base:     base.String(),
		sas:      endpoint.RawQuery,
		once:     once,
		ascii:    emulator(endpoint),
	}
}

// request is one request to the table service.
type request struct {
	method string
	path   string // escaped, below the endpoint
	query  url.Values
	header map[string]string
	body   []byte
}

// send carries a request out and returns the answer if it has a status below 400.
func (p *tables) send(ctx context.Context, r request) (*http.Response, error) {
	location := p.base + "/" + r.path
	query := strings.ReplaceAll(r.query.Encode(), "+", "%20")
	if full := strings.Trim(query+"&"+p.sas, "&"); full != "" {
		location += "?" + full
	}
	outgoing, err := runtime.NewRequest(ctx, r.method, location)
	if err != nil {
		return nil, err
	}
	header := outgoing.Raw().Header
	header.Set("x-ms-version", tableVersion)
	header.Set("DataServiceVersion", dataVersion)
	header.Set("Accept", acceptMinimal)
	content := jsonContent
	for name, value := range r.header {
		if name == "Content-Type" {
			content = value
		}
		header.Set(name, value)
	}
	if r.body != nil {
		if err := outgoing.SetBody(streaming.NopCloser(bytes.NewReader(r.body)), content); err != nil {
			return nil, err
		}
	}
	response, err := p.pipeline.Do(outgoing)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusBadRequest {
		return nil, runtime.NewResponseError(response)
	}
	return response, nil
}

// responseDate returns the service's clock, or ours if it did not say.
func responseDate(header http.Header) time.Time {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return dateOr(nil)
	}
	return date.UTC()
}

// rowPath is the address of a row below the endpoint.
func rowPath(table, partitionKey, rowKey string) string {
	return table + "(PartitionKey='" + escapeKey(partitionKey) + "',RowKey='" + escapeKey(rowKey) + "')"
}

func escapeKey(key string) string {
	return strings.ReplaceAll(url.QueryEscape(strings.ReplaceAll(key, "'", "''")), "+", "%20")
}

// tableSigner signs requests with the account key (the scheme SharedKeyLite of the table service).
type tableSigner struct {
	account string
	key     []byte
}

func newTableSigner(account, key string) (*tableSigner, error) {
	decoded, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		return nil, errors.New("storage account: the account key is not base64")
	}
	return &tableSigner{account: account, key: decoded}, nil
}

// Do implements policy.Policy.
func (s *tableSigner) Do(request *policy.Request) (*http.Response, error) {
	raw := request.Raw()
	date := time.Now().UTC().Format(http.TimeFormat)
	path := raw.URL.EscapedPath()
	if path == "" {
		path = "/"
	}
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(date + "\n/" + s.account + path))
	raw.Header.Set("x-ms-date", date)
	raw.Header.Set("Authorization", "SharedKeyLite "+s.account+":"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return request.Next()
}

// CreateTable implements storage.Tables.
func (p *tables) CreateTable(ctx context.Context, table string) error {
	if err := storage.CheckTableName(storage.TableAdmin, table); err != nil {
		return err
	}
	ctx, c := begin(ctx, storage.TableAdmin, table)
	_, err := p.send(ctx, request{
		method: http.MethodPost,
		path:   "Tables",
		header: map[string]string{"Prefer": preferNoContent},
		body:   []byte(`{"TableName":"` + table + `"}`),
	})
	return unlessExists(c.failure(ctx, err))
}

// DeleteTable implements storage.Tables.
func (p *tables) DeleteTable(ctx context.Context, table string) error {
	if err := storage.CheckTableName(storage.TableAdmin, table); err != nil {
		return err
	}
	ctx, c := begin(ctx, storage.TableAdmin, table)
	_, err := p.send(ctx, request{method: http.MethodDelete, path: "Tables('" + table + "')"})
	return c.failure(ctx, err)
}

// ListTables implements storage.Tables.
func (p *tables) ListTables(ctx context.Context) ([]string, error) {
	var names []string
	query := url.Values{}
	for {
		pageCtx, c := reading(ctx, storage.TableAdmin, "")
		response, err := p.send(pageCtx, request{method: http.MethodGet, path: "Tables", query: query})
		if err != nil {
			return nil, c.failure(ctx, err)
		}
		var page struct {
			Value []struct{ TableName string }
		}
		if err := runtime.UnmarshalAsJSON(response, &page); err != nil {
			return nil, c.failure(ctx, err)
		}
		for _, table := range page.Value {
			names = append(names, table.TableName)
		}
		next := response.Header.Get(headerNextTable)
		if next == "" {
			return names, nil
		}
		query.Set("NextTableName", next)
	}
}
