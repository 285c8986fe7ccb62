// Package poll asks feeds and list pages for news, by the rules of politeness, and takes in what hubs push.
//
// The policy:
//
//   - A source is asked for the whole once. From then on its validators go back to the address that sent them, byte for
//     byte; they are stored in the transaction that stores the articles, so the two are never out of step. They are not
//     sent by another parser, nor to another address than they came from.
//   - At most one conditional request an hour (15 minutes if the operator allows it), and one whole answer a day where a
//     server has no validators. What the source itself says only ever makes this later: max-age, Expires, ttl, sy:update*,
//     skipHours and skipDays by up to a day, Retry-After on 429 and 503 by up to a week.
//   - Failures in a row double the time, up to a day. Five make a source failing, 14 days of them suspend it. 410, or 404
//     ten times over seven days, stops it. Whoever lets only browsers in is blocked: asked once a day, never tricked.
//   - 301 and 308 are stored after three equal answers, 302 and 307 never.
//   - One visit to a host at a time, two seconds or its Crawl-delay between requests; a redirect is followed at once. Pages
//     are asked within robots.txt, their lists in office hours; feeds are made to be polled and need neither.
//   - A feed or a page is data: of its links only those to its own host are followed, and those it redirects to by itself.
//   - Every timer is in the database: a restart forgets nothing and asks for nothing anew.
//
// The database hands out the right to visit a source, see [Store]; a visit asks, reads, and gives back all it learned in one
// piece.
package poll

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"zonewire"
	"zonewire/ingest"
	"zonewire/internal/trouble"
)

// Store keeps the sources and their timers. *store.DB is one.
type Store interface {
	Visits
	Subscriptions
}

// Visits hands out the right to ask a source, and takes back what came of it.
type Visits interface {
	// ClaimSource gives the right to poll the source that is due the longest and whose host nobody talks to, for two
	// minutes. [zonewire.ErrNotFound] if there is none.
	ClaimSource(ctx context.Context, now time.Time) (zonewire.Visit, error)
	// ClaimSourceByID is ClaimSource of one source, whatever its timer and state. [zonewire.ErrBusy] while it is polled or its
	// host wants to be left alone, [zonewire.ErrNotFound], [zonewire.ErrGone].
	ClaimSourceByID(ctx context.Context, id int64, now time.Time) (zonewire.Visit, error)
	// KeepSource lengthens the right. [zonewire.ErrLost]: another has it.
	KeepSource(ctx context.Context, v zonewire.Visit, until time.Time) error
	// FreeSource gives the right back without a result: the source is as due as before. [zonewire.ErrLost].
	FreeSource(ctx context.Context, v zonewire.Visit, hostUntil time.Time) error
	// FinishPoll stores what came of a visit, all or nothing. [zonewire.ErrLost]: nothing was stored.
	FinishPoll(ctx context.Context, act zonewire.Act, v zonewire.Visit, p zonewire.Poll) ([]zonewire.Stored, error)
	// UnknownPages tells which addresses, in canonical form, neither the source's queue nor any article has.
	UnknownPages(ctx context.Context, source int64, canons []string) ([]string, error)
}

const (
	claimFor   = 2 * time.Minute // what the store gives
	claimEvery = 2 * time.Second // between two visits begun: no burst, however many are due
	idleEvery  = 5 * time.Second
	finishIn   = 30 * time.Second
)

// Options tune a [Poller]; each zero value means the default.
type Options struct {
	Version string // of the program, for the agent
	BaseURL string // of this installation: who asks, and where hubs call back
	// Readers counts those that the news is for, to be named to the publisher; nil names none.
	Readers func(ctx context.Context) (int, error)
	// Secret is under the addresses that hubs call back at; without it no hub is asked to push.
	Secret zonewire.Secret
	// AllowPrivate allows hubs to call back at a BaseURL without https.
	AllowPrivate bool
	Workers      int          // visits at once; 6
	Log          *slog.Logger // slog.Default()
}

// Poller asks the sources of one store.
type Poller struct {
	store   Store
	client  *http.Client
	options Options
	log     *slog.Logger
	readers readers
	idle    time.Duration // between two looks while nothing is due
	seldom  trouble.Seldom
}

// readers read what came.
type readers struct {
	feed func([]byte, ingest.Options) (ingest.FeedDoc, error)
	list func([]byte, ingest.Options) (ingest.ListDoc, error)
	page func([]byte, ingest.Options) ingest.Record
}

// New makes a poller that asks with the given client, which is to refuse private addresses. Nothing happens before
// [Poller.Run].
func New(st Store, client *http.Client, o Options) *Poller {
	if o.Workers < 1 {
		o.Workers = 6
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return &Poller{
		store: st, client: client, options: o, log: o.Log,
		readers: readers{ingest.ReadFeed, ingest.ReadList, ingest.ReadPage}, idle: idleEvery,
	}
}

// Agent is the User-Agent that publishers see: who asks, where to complain, and for how many, 0 to leave that out.
func Agent(version, baseURL string, readers int) string {
	about := "+" + baseURL
	if readers > 0 {
		about += "; " + strconv.Itoa(readers) + " subscribers"
	}
	return "zonewire/" + version + " (" + about + ")"
}

func (p *Poller) asker(ctx context.Context) asker {
	n := 0
	if p.options.Readers != nil {
		var err error
		if n, err = p.options.Readers(ctx); err != nil && ctx.Err() == nil {
			p.log.Warn("readers not counted", "err", err) // the agent goes without them
		}
	}
	return asker{client: p.client, agent: Agent(p.options.Version, p.options.BaseURL, n)}
}

// Run visits what becomes due until ctx ends; then it breaks off the visits under way, stores what they got, and returns
// nil. A database that does not answer is waited for.
func (p *Poller) Run(ctx context.Context) error {
	var under sync.WaitGroup
	defer under.Wait()
	if p.callback() != "" {
		under.Go(func() { p.renew(ctx) })
	}
	slots := make(chan struct{}, p.options.Workers)
	claiming := trouble.New(p.log, "sources cannot be claimed, and wait", "sources are claimed again")
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		v, err := p.store.ClaimSource(ctx, time.Now())
		if err == nil {
			under.Go(func() {
				defer func() { <-slots }()
				p.routine(ctx, v)
			})
		} else {
			<-slots
		}
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, zonewire.ErrNotFound) {
			claiming.Is(nil)
		} else {
			claiming.Is(err)
		}
		wait := claimEvery
		if err != nil {
			wait = p.idle
		}
		if sleep(ctx, wait) != nil {
			return nil
		}
	}
}

// routine makes one visit of the daemon's, and says in the log what matters of it.
func (p *Poller) routine(ctx context.Context, v zonewire.Visit) {
	poll, stored, err := p.visit(ctx, v, false)
	log := p.log.With("source", v.Source.ID)
	switch {
	case ctx.Err() != nil && err != nil:
		return // it is as due as before
	case errors.Is(err, zonewire.ErrLost):
		log.Info("another took the source over; its visit is void")
		return
	case err != nil:
		log.Error("visit not stored", "err", err)
		return
	case poll.State != v.Source.State:
		log.Warn("source changed its state", "state", poll.State, "reason", poll.Reason)
	}
	logStored(log, stored)
}

// Visit polls one source now, whatever its timer says, for an operator. Its errors are those of [Visits.ClaimSourceByID] and
// of the database; that the source itself fails is in the poll.
func (p *Poller) Visit(ctx context.Context, id int64) (zonewire.Poll, []zonewire.Stored, error) {
	v, err := p.store.ClaimSourceByID(ctx, id, time.Now())
	if err != nil {
		return zonewire.Poll{}, nil, err
	}
	return p.visit(ctx, v, true)
}

// visit looks at a source and stores what came of it. When ctx ends, what was got is stored, or the right is given back.
func (p *Poller) visit(ctx context.Context, v zonewire.Visit, forced bool) (zonewire.Poll, []zonewire.Stored, error) {
	w := p.newLook(ctx, v, forced)
	err := w.look(ctx)
	// What was learned is stored also while the daemon stops: nobody asks for it twice.
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishIn)
	defer cancel()
	switch {
	case errors.Is(err, zonewire.ErrLost):
		return w.poll, nil, err
	case err != nil && ctx.Err() != nil:
		return w.poll, nil, errors.Join(ctx.Err(), p.store.FreeSource(after, v, w.pace.next()))
	case err != nil:
		p.log.Error("visit broken off", "source", v.Source.ID, "err", err)
		w.breakOff(err)
	}
	act := zonewire.Act{At: time.Now(), By: "daemon"}
	if forced {
		act.By = "cli"
	}
	stored, err := p.store.FinishPoll(after, act, v, w.poll)
	if err != nil && !errors.Is(err, zonewire.ErrLost) {
		// Without the articles it may go through. If it does not, the right lapses, and the source would be asked for
		// the same again in two minutes, for ever: but then no claim can be written either.
		w.breakOff(err)
		_, again := p.store.FinishPoll(after, act, v, w.poll)
		err = errors.Join(err, again)
	}
	return w.poll, stored, err
}

// sleep waits, or gives the context's error if it ends before.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
