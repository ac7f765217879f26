package cli

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/durafleet/durafleet/internal/storage/azure"
	"github.com/durafleet/durafleet/taskhub"
)

// connectionVariables are looked up if there is no --connection.
var connectionVariables = []string{"DURAFLEET_CONNECTION", "AzureWebJobsStorage"}

// hubVariable is looked up if there is no --hub.
const hubVariable = "DURAFLEET_HUB"

// variableName is what the name of an environment variable looks like. Nothing else is ever
// printed: it may be a key that was pasted into the wrong place.
var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

// account returns the storage account that the flags and the environment name.
func (p *program) account() (taskhub.Account, error) {
	if p.blob != "" || p.queue != "" || p.table != "" {
		return p.endpoints()
	}
	text, source, err := p.connectionString()
	if err != nil {
		return nil, err
	}
	if _, err := azure.FromConnectionString(text, nil); err != nil {
		return nil, usagef("%s: %v", source, err)
	}
	return taskhub.ConnectionString(text), nil
}

// connectionString returns the connection string and where it comes from.
func (p *program) connectionString() (text, source string, err error) {
	const flag = "--connection"
	if p.connection != "" {
		text, err := p.connectionOf(flag, p.connection)
		if text == p.connection || err != nil {
			return text, flag, err
		}
		return text, "environment variable " + p.connection, nil
	}
	for _, name := range connectionVariables {
		if text, found := p.LookupEnv(name); found && text != "" {
			return text, "environment variable " + name, nil
		}
	}
	return "UseDevelopmentStorage=true", "default", nil
}

// connectionOf returns the connection string that a flag holds or names.
func (p *program) connectionOf(flag, value string) (string, error) {
	if strings.Contains(value, "=") {
		return value, nil
	}
	if !variableName.MatchString(value) {
		return "", usagef("%s: the value (not shown) is neither a connection string nor the name of an environment variable", flag)
	}
	text, found := p.LookupEnv(value)
	if !found || text == "" {
		return "", usagef("%s %q: there is no environment variable of that name, and it is no connection string", flag, value)
	}
	return text, nil
}

// endpoints returns the account behind the endpoint flags. URLs that carry a SAS need no other
// credential.
func (p *program) endpoints() (taskhub.Account, error) {
	if p.connection != "" {
		return nil, usagef("--connection and the endpoint flags exclude each other")
	}
	account := taskhub.Endpoints{Blob: p.blob, Queue: p.queue, Table: p.table}
	signed := 0
	for _, flag := range []struct{ name, value string }{
		{"--blob-endpoint", p.blob}, {"--queue-endpoint", p.queue}, {"--table-endpoint", p.table},
	} {
		if flag.value == "" {
			return nil, usagef("%s is missing: all three endpoints are needed", flag.name)
		}
		parsed, err := url.Parse(flag.value)
		if err != nil || parsed.Host == "" {
			return nil, usagef("%s: the value (not shown) is no URL such as https://account.table.core.windows.net", flag.name)
		}
		if parsed.Query().Has("sig") {
			signed++
		}
	}
	if signed == 0 {
		credential, err := azidentity.NewDefaultAzureCredential(nil)
		if err != nil {
			return nil, fmt.Errorf("default Azure credential: %w", err)
		}
		account.Credential = credential
	}
	return account, nil
}

// hubName returns the name of the hub.
func (p *program) hubName() string {
	if p.hub != "" {
		return p.hub
	}
	if name, found := p.LookupEnv(hubVariable); found && name != "" {
		return name
	}
	return defaultHub
}

// open opens the hub that the flags name.
func (p *program) open(ctx context.Context) (*taskhub.Hub, error) {
	account, err := p.account()
	if err != nil {
		return nil, err
	}
	return taskhub.Open(ctx, account, p.hubName(), &taskhub.Options{Doorbell: p.ring})
}

// client returns a client of the hub.
func (p *program) client(ctx context.Context) (*taskhub.Client, error) {
	hub, err := p.open(ctx)
	if err != nil {
		return nil, err
	}
	return taskhub.NewClient(hub), nil
}
