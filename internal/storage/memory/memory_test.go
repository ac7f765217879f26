package memory_test

import (
	"testing"
	"testing/synctest"

	"github.com/durafleet/durafleet/internal/storage"
	"github.com/durafleet/durafleet/internal/storage/memory"
	"github.com/durafleet/durafleet/internal/storage/storagetest"
)

func open(*testing.T) storage.Account { return memory.New().Account() }

func TestAccount_InVirtualTime(t *testing.T) {
	t.Parallel()
	storagetest.Exercise(t, open, &storagetest.Options{RealRules: true, Within: synctest.Test})
}
