package azurite_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/durafleet/durafleet/azurite"
)

// tableRequest sends a request to the table service and returns status and body. It speaks HTTP
// without an SDK, because this package stands below everything that uses one.
func tableRequest(t *testing.T, server *azurite.Server, method, resource, body string) (status int, answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, server.TableURL()+resource, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	date := time.Now().UTC().Format(http.TimeFormat)
	key, err := base64.StdEncoding.DecodeString(azurite.AccountKey)
	if err != nil {
		t.Fatal(err)
	}
	signature := hmac.New(sha256.New, key)
	io.WriteString(signature, date+"\n/"+azurite.AccountName+request.URL.EscapedPath())
	request.Header.Set("x-ms-date", date)
	request.Header.Set("x-ms-version", "2019-02-02")
	request.Header.Set("Accept", "application/json;odata=nometadata")
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization",
		"SharedKeyLite "+azurite.AccountName+":"+base64.StdEncoding.EncodeToString(signature.Sum(nil)))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(data)
}

func createTable(t *testing.T, server *azurite.Server, name string) {
	t.Helper()
	status, answer := tableRequest(t, server, http.MethodPost, "/Tables", `{"TableName":"`+name+`"}`)
	if status != http.StatusCreated {
		t.Fatalf("create table: %d %s", status, answer)
	}
}

func hasTable(t *testing.T, server *azurite.Server, name string) bool {
	t.Helper()
	status, answer := tableRequest(t, server, http.MethodGet, "/Tables", "")
	if status != http.StatusOK {
		t.Fatalf("list tables: %d %s", status, answer)
	}
	return strings.Contains(answer, `"`+name+`"`)
}

// listens reports whether something accepts connections at the address of the URL.
func listens(t *testing.T, rawURL string) bool {
	t.Helper()
	parsed, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	connection, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(t.Context(), "tcp", parsed.Host)
	if err != nil {
		return false
	}
	connection.Close()
	return true
}

// eventually checks until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}
