package cli

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/durafleet/durafleet/cmd/durafleet/internal/price"
	"github.com/durafleet/durafleet/taskhub"
)

type costView struct {
	Hub     string           `json:"hub"`
	At      time.Time        `json:"at"`
	Workers []costWorkerView `json:"workers"`
	// Requests are the sums over the workers.
	Requests []costLineView `json:"requests"`
	Total    costTotalView  `json:"total"`
	// Sent and Received are bytes of bodies.
	Sent     int64        `json:"sentBytes"`
	Received int64        `json:"receivedBytes"`
	Prices   *price.Table `json:"prices"`
}

type costWorkerView struct {
	ID        string  `json:"id"`
	ReportAge float64 `json:"reportAge"`
	Fresh     bool    `json:"fresh"`
	// Shared says that the figures are counted with another worker of the same process.
	Shared bool `json:"shared"`
	// Since is missing if the worker reports no figures.
	Since    *time.Time `json:"since,omitempty"`
	Requests int64      `json:"requests"`
}

type costTotalView struct {
	Requests int64   `json:"requests"`
	PerHour  float64 `json:"perHour"`
	PerMonth float64 `json:"perMonth"`
	// Cost is what the requests have cost, CostPerMonth what those of a month will, by the prices.
	Cost         float64 `json:"cost"`
	CostPerMonth float64 `json:"costPerMonth"`
}

type costLineView struct {
	Cause string `json:"cause"`
	Kind  string `json:"kind"`
	costTotalView
}

func (p *program) hubCost() *cobra.Command {
	prices, printPrices := "", false
	command := &cobra.Command{
		Use:   "cost [NAME]",
		Short: "Show how many storage requests the workers of a task hub send, what for, and what a month of them costs",
		Long: `Show how many storage requests the workers of a task hub have sent since they were started, what for, how
many that is in an hour, and what a month like that costs. The figures are those that live workers report once a
minute. The prices are examples unless --prices names a table; begin with that of --print-prices.`,
		Args: p.named,
		RunE: func(c *cobra.Command, _ []string) error {
			if printPrices {
				return p.printPriceTable(prices)
			}
			table, err := readPrices(prices)
			if err != nil {
				return err
			}
			hub, err := p.open(c.Context())
			if err != nil {
				return err
			}
			fleet, err := hub.FleetCost(c.Context())
			if err != nil {
				return err
			}
			view := viewCost(fleet, table)
			return p.print(view, func() { p.costTable(view, prices == "") })
		},
	}
	command.Flags().StringVar(&prices, "prices", "", "file with a table of prices (JSON)")
	command.Flags().BoolVar(&printPrices, "print-prices", false, "print the table of example prices, to be edited, and do nothing else")
	return command
}

// printPriceTable prints the table of example prices. It is JSON whatever the output is.
func (p *program) printPriceTable(prices string) error {
	if prices != "" {
		return usagef("--print-prices and --prices %s exclude each other", prices)
	}
	output := p.output
	p.output = outputJSON
	defer func() { p.output = output }()
	return p.printJSON(price.Default())
}

// readPrices reads a table of prices; "" stands for the examples.
func readPrices(name string) (*price.Table, error) {
	if name == "" {
		return price.Default(), nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, usagef("--prices: %v", err)
	}
	defer file.Close() // it was only read
	table, err := price.Read(file)
	if err != nil {
		return nil, usagef("--prices %s: %v", name, err)
	}
	return table, nil
}

func viewCost(fleet *taskhub.FleetCost, table *price.Table) *costView {
	view := &costView{Hub: fleet.Hub, At: fleet.At, Workers: []costWorkerView{}, Requests: []costLineView{}, Prices: table}
	for i := range fleet.Workers {
		w := &fleet.Workers[i]
		worker := costWorkerView{ID: w.WorkerID, ReportAge: tenths(w.Age), Fresh: w.Fresh, Shared: w.Shared, Requests: w.Total()}
		if !w.Since.IsZero() {
			worker.Since = &w.Since
		}
		view.Workers = append(view.Workers, worker)
	}
	for i := range fleet.Requests {
		r := &fleet.Requests[i]
		perMonth := r.PerHour * table.HoursPerMonth
		line := costTotalView{
			Requests: r.Count, PerHour: r.PerHour, PerMonth: perMonth,
			Cost: table.Of(r.Kind, float64(r.Count)), CostPerMonth: table.Of(r.Kind, perMonth),
		}
		view.Total.add(line)
		view.Sent += r.Sent
		view.Received += r.Received
		if r.Count > 0 {
			view.Requests = append(view.Requests, costLineView{r.Cause, r.Kind, line})
		}
	}
	return view
}

func (t *costTotalView) add(line costTotalView) {
	t.Requests += line.Requests
	t.PerHour += line.PerHour
	t.PerMonth += line.PerMonth
	t.Cost += line.Cost
	t.CostPerMonth += line.CostPerMonth
}

func (p *program) costTable(view *costView, examples bool) {
	fmt.Fprintf(p.Out, "Task hub %s, as its workers report it\n\n", view.Hub)
	if len(view.Workers) == 0 {
		fmt.Fprintln(p.Out, "No worker reports. A worker's first report comes 2 seconds after its start, .NET workers leave none.")
		return
	}
	rows := make([][]string, len(view.Workers))
	for i := range view.Workers {
		rows[i] = view.Workers[i].cells()
	}
	p.columns([]string{"WORKER", "REPORTED", "COUNTS SINCE", "REQUESTS"}, rows)
	currency := view.Prices.Currency
	rows = nil
	for _, group := range view.byCause() {
		for i, line := range group {
			cause := ""
			if i == 0 {
				cause = line.Cause
			}
			rows = append(rows, append([]string{cause, line.Kind}, line.cells()...))
		}
	}
	rows = append(rows, append([]string{"total", ""}, view.Total.cells()...))
	fmt.Fprintln(p.Out)
	p.columns([]string{"CAUSE", "KIND", "SO FAR", "PER HOUR", "PER MONTH", currency, currency + " PER MONTH"}, rows)
	fmt.Fprintf(p.Out, "\n%d bytes sent, %d received, without headers\n", view.Sent, view.Received)
	fmt.Fprintf(p.Out, "A month has %v hours like those since the workers were started.", view.Prices.HoursPerMonth)
	if examples {
		fmt.Fprint(p.Out, " The prices are examples: edit those of --print-prices and name them with --prices.")
	}
	fmt.Fprintln(p.Out)
}

// byCause returns the lines of each cause, the dearest one first, the causes likewise.
func (v *costView) byCause() [][]costLineView {
	sums := map[string]costTotalView{}
	for _, line := range v.Requests {
		sum := sums[line.Cause]
		sum.add(line.costTotalView)
		sums[line.Cause] = sum
	}
	lines := slices.Clone(v.Requests)
	slices.SortFunc(lines, func(a, b costLineView) int {
		return cmp.Or(
			cmp.Compare(sums[b.Cause].Requests, sums[a.Cause].Requests), strings.Compare(a.Cause, b.Cause),
			cmp.Compare(b.Requests, a.Requests), strings.Compare(a.Kind, b.Kind),
		)
	})
	var groups [][]costLineView
	for i, line := range lines {
		if i == 0 || lines[i-1].Cause != line.Cause {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], line)
	}
	return groups
}

func (w *costWorkerView) cells() []string {
	reported, since, requests := age(w.ReportAge)+" ago", "-", strconv.FormatInt(w.Requests, 10)
	if !w.Fresh {
		reported += " (gone?)"
	}
	switch {
	case w.Since == nil:
		requests = "not told"
	case w.Shared:
		since, requests = clock(*w.Since), "counted above"
	default:
		since = clock(*w.Since)
	}
	return []string{w.ID, reported, since, requests}
}

func (t *costTotalView) cells() []string {
	return []string{
		strconv.FormatInt(t.Requests, 10), strconv.FormatFloat(t.PerHour, 'f', 0, 64), strconv.FormatFloat(t.PerMonth, 'f', 0, 64),
		money(t.Cost), money(t.CostPerMonth),
	}
}

// money prints small sums with as many digits as tell them from nothing.
func money(sum float64) string {
	switch {
	case sum == 0:
		return "0"
	case sum < 0.0001:
		return "<0.0001"
	case sum < 1:
		return strconv.FormatFloat(sum, 'f', 4, 64)
	}
	return strconv.FormatFloat(sum, 'f', 2, 64)
}
