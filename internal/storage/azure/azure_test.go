package azure_test

import (
	"testing"

	"github.com/durafleet/durafleet/azurite"
	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/storage/azure"
	"github.com/durafleet/durafleet/internal/storage/storagetest"
)

func TestAccount_OnAzurite(t *testing.T) {
	t.Parallel()
	server := azurite.Start(t)
	storagetest.Exercise(t, func(t *testing.T) storage.Account {
		account, err := azure.FromConnectionString(server.ConnectionString(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return account
	}, &storagetest.Options{})
}
