package digest

import (
	"context"
	"log/slog"
	"time"

	"github.com/robfig/cron/v3"

	"zonewire"
	"zonewire/internal/trouble"
)

// Store is what the scheduler asks of the database.
type Store interface {
	// PlanNext plans the most overdue list in one transaction and gives its digest, which may be one that was skipped.
	// It answers false when nothing is due. A list that cannot be planned is left aside: its error comes back only
	// when nothing else is due.
	PlanNext(ctx context.Context, now time.Time, p zonewire.Planning) (zonewire.Digest, bool, error)
}

// Scheduler is the heartbeat: it asks the database what is due and has it planned. It decides nothing itself, so
// any number of them may run on one database, and a list edited from outside needs no reload.
type Scheduler struct {
	Store    Store
	Planning zonewire.Planning
	Log      *slog.Logger
	// Every is the time between two beats, in whole seconds; 0 is one second.
	Every time.Duration
	// Planned, if set, is called after each digest that has mails to send, to wake whoever sends them.
	Planned func()
}

// Run beats until ctx ends, then waits for a running beat and gives nil. A beat that fails or panics is logged, and the
// next one tries again: a list that cannot be planned fails at every beat.
func (s *Scheduler) Run(ctx context.Context) error {
	planning := trouble.New(s.Log, "digest not planned", "digests are planned again")
	log := cronLog{s.Log}
	// Skip stands outside Recover: the other way round, a panic would keep the turn for ever.
	beat := cron.NewChain(cron.SkipIfStillRunning(log), cron.Recover(log)).Then(cron.FuncJob(func() {
		if _, err := s.Beat(ctx, time.Now()); ctx.Err() == nil {
			planning.Is(err)
		}
	}))
	c := cron.New(cron.WithLogger(log))
	c.Schedule(cron.Every(s.Every), beat)
	c.Start()
	<-ctx.Done()
	<-c.Stop().Done()
	return nil
}

// Beat plans all that is due at now and gives the number of digests planned or skipped. The error is that of the lists
// which could not be planned, after all others were, or of the database.
func (s *Scheduler) Beat(ctx context.Context, now time.Time) (int, error) {
	for done := 0; ; done++ {
		d, ok, err := s.Store.PlanNext(ctx, now, s.Planning)
		if err != nil || !ok {
			return done, err
		}
		s.report(d)
	}
}

func (s *Scheduler) report(d zonewire.Digest) {
	if d.State == zonewire.DigestSkipped {
		s.Log.Info("digest skipped", "list", d.List, "digest", d.ID, "slot", d.Slot.UTC(), "reason", d.Reason)
		return
	}
	s.Log.Info("digest planned", "list", d.List, "digest", d.ID, "slot", d.Slot.UTC(), "items", d.Items, "recipients", d.Recipients)
	if s.Planned != nil {
		s.Planned()
	}
}

// cronLog passes on what cron logs: its errors, which are recovered panics, and not its narration of every beat.
type cronLog struct{ log *slog.Logger }

func (cronLog) Info(string, ...any) {}

func (l cronLog) Error(err error, msg string, args ...any) {
	l.log.Error("heartbeat failed", append([]any{"err", err, "what", msg}, args...)...)
}
