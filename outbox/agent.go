package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/time/rate"

	"zonewire"
	"zonewire/internal/provider"
)

// Options tune an [Agent]; each zero value means the default.
type Options struct {
	Connections        int           // at once; 10
	MailsPerConnection int           // then it is closed and made anew; 100
	Rate               float64       // mails a second over all connections; 0 = no limit
	Grace              time.Duration // for what is under way when the agent is told to stop; 30 s
	Log                *slog.Logger  // slog.Default()
	// Limits bounds each provider group; [provider.LimitsOf].
	Limits func(group string) provider.Limits
}

func (o Options) withDefaults() Options {
	if o.Connections < 1 {
		o.Connections = 10
	}
	if o.MailsPerConnection < 1 {
		o.MailsPerConnection = 100
	}
	if o.Grace <= 0 {
		o.Grace = 30 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Limits == nil {
		o.Limits = provider.LimitsOf
	}
	return o
}

// Agent sends what is due. One agent may run or drain several times, one after the other.
type Agent struct {
	store     Store
	transport Transport
	composer  Composer
	options   Options
	limiter   *rate.Limiter
	variants  *variantCache
}

// New makes an agent. Nothing happens before [Agent.Run] or [Agent.Drain].
func New(st Store, tr Transport, c Composer, o Options) *Agent {
	o = o.withDefaults()
	limit := rate.Inf
	if o.Rate > 0 {
		limit = rate.Limit(o.Rate)
	}
	return &Agent{
		store: st, transport: tr, composer: c, options: o,
		limiter:  rate.NewLimiter(limit, 1),
		variants: newVariantCache(cacheBytes, st.Variant, c.Prepare),
	}
}

// Run sends what becomes due until ctx ends; then it finishes the transactions under way, within the grace time, gives
// back what was not begun, and returns nil. A server or a database that is down is waited for.
func (a *Agent) Run(ctx context.Context) error {
	return (&shift{Agent: a}).work(ctx)
}

// Progress is how far a drain is.
type Progress struct {
	Done   int // finished, whatever became of them
	Total  int // known to be due, at least Done
	Counts zonewire.Counts
}

// Drain sends all that is due and returns what became of it. progress may be nil; its calls never overlap. When the
// server or the database does not answer several times in a row, Drain gives up with an error that names it; what was
// not sent stays due. When ctx ends it stops as [Agent.Run] does and returns the context's error.
func (a *Agent) Drain(ctx context.Context, progress func(Progress)) (zonewire.Counts, error) {
	s := &shift{Agent: a, patience: drainTries, report: progress, unsettled: map[jobKey]zonewire.DeliveryState{}}
	total, err := a.store.Due(ctx, time.Now())
	if err != nil {
		return zonewire.Counts{}, fmt.Errorf("count what is due: %w", err)
	}
	s.progress.Total = total
	err = s.work(ctx)
	return s.progress.Counts, errors.Join(err, ctx.Err())
}
