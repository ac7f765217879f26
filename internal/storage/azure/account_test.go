package azure_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/google/uuid"

	"github.com/durafleet/durafleet/azurite"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/storage/azure"
)

const (
	emulatorAccount = "devstoreaccount1"
	emulatorKey     = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)

func TestFromConnectionString_Endpoints(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text, queue, table, container string
	}{
		{
			"account and key", "DefaultEndpointsProtocol=https;AccountName=acc;AccountKey=c2VjcmV0;EndpointSuffix=core.chinacloudapi.cn",
			"https://acc.queue.core.chinacloudapi.cn/queue", "https://acc.table.core.chinacloudapi.cn/table", "https://acc.blob.core.chinacloudapi.cn/container",
		},
		{
			"defaults, odd case and spaces", " accountname=acc ; accountKEY = c2VjcmV0;;",
			"https://acc.queue.core.windows.net/queue", "https://acc.table.core.windows.net/table", "https://acc.blob.core.windows.net/container",
		},
		{
			"explicit endpoints", "AccountName=acc;AccountKey=c2VjcmV0;BlobEndpoint=http://b:1/acc/;QueueEndpoint=http://q:2/acc;TableEndpoint=http://t:3/acc/",
			"http://q:2/acc/queue", "http://t:3/acc/table", "http://b:1/acc/container",
		},
		{
			"SAS", "AccountName=acc;SharedAccessSignature=?sv=1&sig=a%2Bb%3D",
			"https://acc.queue.core.windows.net/queue?sig=a%2Bb%3D&sv=1", "https://acc.table.core.windows.net/table?sv=1&sig=a%2Bb%3D", "https://acc.blob.core.windows.net/container",
		},
		{
			"development", "UseDevelopmentStorage=true",
			"http://127.0.0.1:10001/devstoreaccount1/queue", "http://127.0.0.1:10002/devstoreaccount1/table", "http://127.0.0.1:10000/devstoreaccount1/container",
		},
		{
			"development elsewhere", "UseDevelopmentStorage=True;DevelopmentStorageProxyUri=http://azurite",
			"http://azurite:10001/devstoreaccount1/queue", "http://azurite:10002/devstoreaccount1/table", "http://azurite:10000/devstoreaccount1/container",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var seen atomic.Pointer[url.URL]
			account, err := azure.FromConnectionString(tt.text, &azure.Options{
				MaxRetries: -1,
				Transport: transport(func(request *http.Request) (*http.Response, error) {
					seen.Store(request.URL)
					return nil, errors.New("offline")
				}),
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = account.Queues.Count(t.Context(), "queue")
			sent(t, seen.Load(), tt.queue, err)
			_, err = account.Tables.Query(t.Context(), "table", storage.Query{})
			sent(t, seen.Load(), strings.Replace(tt.table, "/table", "/table()", 1), err)
			if got := account.Blobs.ContainerURL("container"); got != tt.container {
				t.Errorf("ContainerURL = %q, want %q", got, tt.container)
			}
		})
	}
}

// sent checks the URL of a request; err must be there.
func sent(t *testing.T, got *url.URL, want string, err error) {
	t.Helper()
	if !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("error %v", err)
	}
	wanted, parseErr := url.Parse(want)
	if parseErr != nil {
		t.Fatal(parseErr)
	}
	query := got.Query()
	query.Del("comp")
	if got.Scheme != wanted.Scheme || got.Host != wanted.Host || got.Path != wanted.Path || query.Encode() != wanted.Query().Encode() {
		t.Errorf("request to %q, want %q", got, want)
	}
}

func TestFromConnectionString_Refuses(t *testing.T) {
	t.Parallel()
	const secret = "c2VjcmV0c2VjcmV0"
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "empty"},
		{"no key", "AccountName=acc", "AccountKey"},
		{"no name", "AccountKey=" + secret, "AccountName"},
		{"key is not base64", "AccountName=acc;AccountKey=" + secret + "!", "AccountKey"},
		{"no pair", "AccountName=acc;" + secret, "part 2"},
		{"twice", "AccountName=acc;AccountKey=" + secret + ";AccountKey=" + secret, "part 3"},
		{"protocol", "DefaultEndpointsProtocol=ftp;AccountName=acc;AccountKey=" + secret, "DefaultEndpointsProtocol"},
		{"endpoint", "AccountName=acc;AccountKey=" + secret + ";QueueEndpoint=nowhere", "queue endpoint"},
		{"SAS without account", "BlobEndpoint=https://b;QueueEndpoint=https://q;SharedAccessSignature=sig=" + secret, "TableEndpoint"},
		{"development", "UseDevelopmentStorage=maybe", "UseDevelopmentStorage"},
		{"proxy", "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=:", "DevelopmentStorageProxyUri"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := azure.FromConnectionString(tt.text, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one about %q", err, tt.want)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("error shows the secret: %v", err)
			}
		})
	}
}

func TestFromSAS_OnAzurite(t *testing.T) {
	t.Parallel()
	settings := map[string]string{}
	for part := range strings.SplitSeq(azurite.Start(t).ConnectionString(), ";") {
		name, value, _ := strings.Cut(part, "=")
		settings[name] = value
	}
	sas := accountSAS()
	account, err := azure.FromSAS(azure.Endpoints{
		Blob:  settings["BlobEndpoint"] + "?" + sas,
		Queue: settings["QueueEndpoint"] + "?" + sas,
		Table: settings["TableEndpoint"] + "?" + sas,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, name := t.Context(), "t"+strings.ReplaceAll(uuid.NewString(), "-", "")
	_, transactErr := func() ([]storage.ETag, error) {
		if err := account.Tables.CreateTable(ctx, name); err != nil {
			return nil, err
		}
		return account.Tables.Transact(ctx, name, []storage.Operation{{Action: storage.Insert, Row: row("it's")}}, true)
	}()
	_, readErr := account.Tables.Read(ctx, name, "p", "it's")
	_, _, queryErr := storage.All(ctx, account.Tables, name, storage.Query{})
	queueErr := account.Queues.CreateQueue(ctx, name)
	_, putErr := account.Queues.Put(ctx, name, "text", 0)
	blobErr := account.Blobs.CreateContainer(ctx, name)
	blobErr = errors.Join(blobErr, account.Blobs.PutBlob(ctx, name, "a b?c", []byte("x"), true))
	if err := errors.Join(transactErr, readErr, queryErr, queueErr, putErr, blobErr); err != nil {
		t.Fatal(err)
	}
	if location := account.Blobs.ContainerURL(name); strings.Contains(location, "sig") {
		t.Errorf("ContainerURL shows the SAS: %s", location)
	}
	err = account.Blobs.PutBlob(ctx, name, "a b?c", []byte("x"), true)
	if !errors.Is(err, storage.ErrExists) || strings.Contains(err.Error(), "sig=") {
		t.Errorf("error %v", err)
	}
}

// accountSAS signs access to everything in the emulator's account for an hour.
func accountSAS() string {
	expiry := time.Now().UTC().Add(time.Hour).Format("2006-01-02T15:04:05Z")
	fields := []string{emulatorAccount, "rwdlacup", "bqt", "sco", "", expiry, "", "https,http", "2019-02-02", ""}
	key, _ := base64.StdEncoding.DecodeString(emulatorKey) // a constant
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(strings.Join(fields, "\n")))
	return fmt.Sprintf("sv=2019-02-02&ss=bqt&srt=sco&sp=rwdlacup&se=%s&spr=https,http&sig=%s",
		url.QueryEscape(expiry), url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil))))
}

func TestWrongKey_OnAzurite(t *testing.T) {
	t.Parallel()
	wrong := base64.StdEncoding.EncodeToString([]byte("not the key"))
	text := strings.Replace(azurite.Start(t).ConnectionString(), emulatorKey, wrong, 1)
	account, err := azure.FromConnectionString(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	_, tableErr := account.Tables.ListTables(ctx)
	_, queueErr := account.Queues.ListQueues(ctx, "")
	_, blobErr := account.Blobs.ListContainers(ctx, "")
	for _, err := range []error{tableErr, queueErr, blobErr} {
		if !errors.Is(err, storage.ErrUnauthorized) || strings.Contains(err.Error(), wrong) {
			t.Errorf("error %v", err)
		}
	}
}

// tokens is a credential that always gives the same answer.
type tokens struct{ err error }

func (c tokens) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "the-token", ExpiresOn: time.Now().Add(time.Hour)}, c.err
}

// noToken is an error as credentials return it.
type noToken struct{}

func (noToken) Error() string { return "no identity here" }
func (noToken) NonRetriable() {}

func TestFromEndpoints(t *testing.T) {
	t.Parallel()
	endpoints := azure.Endpoints{
		Blob: "https://x.blob.core.windows.net", Queue: "https://x.queue.core.windows.net/", Table: "https://x.table.core.windows.net",
	}
	var authorization atomic.Value
	options := &azure.Options{MaxRetries: -1, Transport: transport(func(request *http.Request) (*http.Response, error) {
		authorization.Store(request.Header.Get("Authorization"))
		return nil, errors.New("offline")
	})}
	account, err := azure.FromEndpoints(endpoints, tokens{}, options)
	if err != nil {
		t.Fatal(err)
	}
	refused, err := azure.FromEndpoints(endpoints, tokens{err: noToken{}}, options)
	if err != nil {
		t.Fatal(err)
	}
	for name, request := range map[string]func(storage.Account) error{
		"queue": func(a storage.Account) error { return a.Queues.CreateQueue(t.Context(), "queue") },
		"table": func(a storage.Account) error { return a.Tables.CreateTable(t.Context(), "table") },
		"blob":  func(a storage.Account) error { return a.Blobs.CreateContainer(t.Context(), "container") },
	} {
		authorization.Store("")
		if err := request(account); !errors.Is(err, storage.ErrUnavailable) || authorization.Load() != "Bearer the-token" {
			t.Errorf("%s: error %v, Authorization %q", name, err, authorization.Load())
		}
		if err := request(refused); !errors.Is(err, storage.ErrUnauthorized) || storage.Ambiguous(err) || !strings.Contains(err.Error(), "no identity here") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := azure.FromEndpoints(endpoints, nil, nil); err == nil {
		t.Error("a nil credential is accepted")
	}
	if _, err := azure.FromEndpoints(azure.Endpoints{Queue: "x", Blob: "y", Table: "z"}, tokens{}, nil); err == nil {
		t.Error("endpoints that are no URLs are accepted")
	}
}
