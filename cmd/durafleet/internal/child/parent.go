package child

import (
	"bufio"
	"context"
	"io"
	"time"

	"github.com/durafleet/durafleet/internal/run"
)

// Serve is what a worker process does about its parent: it calls take, unless it is nil, for each
// line that comes in, and calls stop when there is none any more, because the parent wants the
// process to end or has ended itself. A process that takes longer than limit from then on is ended
// by exit: storage is usually gone as well, and everything that needs it hangs.
func Serve(ctx context.Context, in io.Reader, take func(text string), stop func(), limit time.Duration, exit func()) {
	var group run.Group // is not waited for: nothing but the parent ends a read
	group.Go(ctx, "child: parent", func(context.Context) {
		lines := bufio.NewScanner(in)
		for lines.Scan() {
			if take != nil {
				take(lines.Text())
			}
		}
		time.AfterFunc(limit, exit)
		stop()
	})
}
