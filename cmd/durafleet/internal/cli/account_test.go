package cli

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/durafleet/durafleet/azurite"
)

const (
	secretKey = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmU="
	secretSAS = "topSecretSignature123"
)

// closedPort returns the address of a port at which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// Nothing that a failing command prints may hold the key or the signature it was given.
func TestAccount_SecretsStaySecret(t *testing.T) {
	t.Parallel()
	server := azurite.Start(t)
	endpoints := func(suffix string) string {
		return "BlobEndpoint=" + server.BlobURL() + suffix + ";QueueEndpoint=" + server.QueueURL() + suffix +
			";TableEndpoint=" + server.TableURL() + suffix
	}
	sas := "sv=2021-08-06&ss=bqt&srt=sco&sp=rwl&se=2099-01-01T00:00:00Z&sig=" + secretSAS
	nowhere := "http://" + closedPort(t) + "/acc"
	for _, tt := range []struct {
		name       string
		connection string
		code       int
		slow       bool
	}{
		{"wrong key", "AccountName=devstoreaccount1;AccountKey=" + secretKey + ";" + endpoints(""), ExitAuth, false},
		{"wrong SAS", "SharedAccessSignature=" + sas + ";" + endpoints(""), ExitAuth, false},
		{"unreachable", "AccountName=acc;AccountKey=" + secretKey + ";BlobEndpoint=" + nowhere + ";QueueEndpoint=" + nowhere + ";TableEndpoint=" + nowhere, ExitUnavailable, true},
		{"unreachable with SAS", "SharedAccessSignature=" + sas + ";BlobEndpoint=" + nowhere + ";QueueEndpoint=" + nowhere + ";TableEndpoint=" + nowhere, ExitUnavailable, true},
		{"no base64", "AccountName=acc;AccountKey=!" + secretKey, ExitUsage, false},
		{"bad protocol", "DefaultEndpointsProtocol=ftp;AccountName=acc;AccountKey=" + secretKey, ExitUsage, false},
		{"the key alone", secretKey, ExitUsage, false},
		{"the key without padding", strings.TrimRight(secretKey, "="), ExitUsage, false},
		{"the SAS alone", sas, ExitUsage, false},
		{"an endpoint that is none", "AccountName=acc;AccountKey=" + secretKey + ";TableEndpoint=::" + secretSAS, ExitUsage, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.slow && testing.Short() {
				t.Skip("needs real time; -short is set")
			}
			b := offline(t)
			b.environment["ACCOUNT"] = tt.connection
			for _, line := range []string{"hub list --connection ACCOUNT", "hub show Some --connection ACCOUNT"} {
				checkSecrets(t, b.fails(tt.code, nil, strings.Fields(line)...))
			}
			checkSecrets(t, b.fails(tt.code, nil, "instance", "get", "x", "--connection", tt.connection))
		})
	}
}

func checkSecrets(t *testing.T, got result) {
	t.Helper()
	for _, secret := range []string{secretKey, strings.TrimRight(secretKey, "="), secretSAS} {
		if strings.Contains(got.out+got.err, secret) {
			t.Errorf("a secret was printed: %s%s", got.out, got.err)
		}
	}
}

func TestAccount_EndpointsWithSAS(t *testing.T) {
	t.Parallel()
	server := azurite.Start(t)
	query := "?sv=2021-08-06&sig=" + secretSAS
	got := offline(t).fails(ExitAuth, nil, "hub", "list", "--blob-endpoint", server.BlobURL()+query,
		"--queue-endpoint", server.QueueURL()+query, "--table-endpoint", server.TableURL()+query)
	checkSecrets(t, got)
}

func TestAccount_Sources(t *testing.T) {
	t.Parallel()
	good := azurite.Start(t).ConnectionString()
	for _, tt := range []struct {
		name        string
		environment map[string]string
		arguments   []string
	}{
		{"flag", nil, []string{"--connection", good}},
		{"named variable", map[string]string{"MINE": good, "DURAFLEET_CONNECTION": "x=1"}, []string{"--connection", "MINE"}},
		{"default variable", map[string]string{"DURAFLEET_CONNECTION": good, "AzureWebJobsStorage": "x=1"}, nil},
		{"variable of Azure Functions", map[string]string{"AzureWebJobsStorage": good}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := &rig{t: t, environment: tt.environment}
			b.ok(append([]string{"hub", "list"}, tt.arguments...)...)
		})
	}
}
