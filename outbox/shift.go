package outbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"zonewire"
	"zonewire/internal/provider"
	"zonewire/internal/trouble"
)

// Times of the loops.
const (
	beatEvery    = 5 * time.Second
	pollEvery    = time.Second      // how soon a new delivery is noticed
	idleAfter    = 10 * time.Second // an unused connection is closed; servers hang up after a minute or more
	settleEvery  = 50 * time.Millisecond
	storeTimeout = 15 * time.Second
	storeSeldom  = 5 * time.Second // between two tries of a call that the database fails again and again
	drainTries   = 3               // failures of server or store in a row that Drain bears
	paceWait     = time.Minute     // how long Drain waits for a provider that holds mail back
)

// shift is one run of an agent: a feeder that claims jobs, senders that each hold a connection, and a heartbeat.
type shift struct {
	*Agent
	patience int // failures in a row to bear, and an end when nothing is due; 0: the shift lasts until its context ends
	gate     *gate
	worker   atomic.Int64
	hard     context.Context // ends the grace time after the shift was told to stop
	queue    *queue          // a job goes only to a sender that has a connection: nobody sits on one while the server is down
	database *trouble.Trouble

	mu        sync.Mutex
	progress  Progress
	unsettled map[jobKey]zonewire.DeliveryState // tried, and may come again
	report    func(Progress)
}

type jobKey struct {
	kind zonewire.JobKind
	id   int64
}

func (s *shift) work(ctx context.Context) error {
	s.gate = newGate(s.transport, s.patience, s.options.Log)
	s.database = trouble.New(s.options.Log, "outbox waits for the database", "outbox goes on: the database is back")
	s.queue = newQueue(s.options.Connections, s.wanted(), s.options.Limits)
	if err := s.signOn(ctx); err != nil {
		return quiet(ctx, err)
	}

	var hardEnd context.CancelFunc
	s.hard, hardEnd = context.WithCancel(context.WithoutCancel(ctx))
	g, working := errgroup.WithContext(ctx)
	dialling, fed := context.WithCancel(working)

	var beside sync.WaitGroup
	beside.Go(s.beat)
	beside.Go(func() {
		<-working.Done() // also when the group has ended by itself
		if sleep(s.hard, s.options.Grace) == nil {
			hardEnd()
		}
	})
	g.Go(func() error {
		defer fed() // who still dials has nothing to send
		defer s.queue.close()
		return s.feed(working)
	})
	for range s.options.Connections {
		g.Go(func() error { return s.send(working, dialling) })
	}
	err := quiet(ctx, g.Wait())
	hardEnd()
	beside.Wait() // a beat after the end would revive the worker
	return errors.Join(err, s.signOff(ctx))
}

// quiet is nil for an error that came because ctx ended.
func quiet(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// wanted is how many jobs are held ready. No more than is sent in some seconds: what is claimed is out of the reach of
// other workers.
func (s *shift) wanted() int {
	want := min(max(16*s.options.Connections, 20), 200)
	if s.options.Rate > 0 {
		want = min(want, max(1, int(5*s.options.Rate)))
	}
	return want
}

// feed keeps the queue filled with what is due.
func (s *shift) feed(ctx context.Context) error {
	want := s.wanted()
	for ctx.Err() == nil {
		waiting, flying := s.queue.counts() // asked first: what is under way may come back
		if waiting >= want {
			if !s.rest(ctx, pollEvery) {
				return nil
			}
			continue
		}
		claim, err := s.claim(ctx, want-waiting)
		wait := pollEvery
		if free := time.Until(claim.FreeAt); !claim.FreeAt.IsZero() && free < wait {
			wait = max(settleEvery, free)
		}
		switch {
		case errors.Is(err, zonewire.ErrLost) || errors.Is(err, zonewire.ErrNotFound):
			// the next beat starts a new worker
		case err != nil:
			return quiet(ctx, err)
		case len(claim.Jobs) > 0:
			s.queue.add(claim.Jobs)
			if waiting+len(claim.Jobs) <= want/2 {
				continue
			}
		case s.patience > 0 && waiting+flying > 0:
			wait = settleEvery
		case s.patience > 0:
			if claim.FreeAt.IsZero() || time.Until(claim.FreeAt) > paceWait {
				return nil
			}
			wait = max(settleEvery, time.Until(claim.FreeAt))
		}
		if !s.rest(ctx, wait) {
			return nil
		}
	}
	return nil
}

// claim takes jobs. What a claim that failed has taken nobody knows, and no other worker could claim it while this one lives:
// all that is not begun is given back before the next.
func (s *shift) claim(ctx context.Context, n int) (claim zonewire.Claim, err error) {
	failed := false
	err = s.persist(ctx, "claim", func(ctx context.Context) (err error) {
		if failed {
			s.queue.clear()
			if _, err := s.store.Release(ctx, s.worker.Load(), time.Now()); err != nil {
				return err
			}
		}
		claim, err = s.store.Claim(ctx, s.worker.Load(), n, s.queue.room, time.Now())
		failed = err != nil
		return err
	})
	return claim, err
}

// rest waits until more jobs are wanted, at most so long; false when ctx has ended.
func (s *shift) rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-s.queue.hungry:
	case <-t.C:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// send is one sender: it opens a connection when there is work for it, and closes it when it has served.
func (s *shift) send(ctx, dialling context.Context) error {
	for s.queue.work(ctx) {
		conn, err := s.gate.dial(dialling)
		if err != nil {
			s.queue.undialed()
			return quiet(dialling, err)
		}
		err = s.session(ctx, conn)
		s.gate.done(conn)
		if err != nil {
			return err
		}
	}
	return nil
}

// session sends over one connection until it is used up, unused, or broken.
func (s *shift) session(ctx context.Context, conn Conn) error {
	used := map[string]int{} // mails of each provider group
	var room []byte          // of the last message: the next is made in its place
	for n := 0; n == 0 || n < s.options.MailsPerConnection && conn.Usable(); n++ {
		job, took := s.queue.take(ctx, used, n == 0, idleAfter)
		if took != tookJob {
			return nil
		}
		used[job.Provider]++
		m, err := s.begin(ctx, job, room)
		if m == nil {
			s.queue.done(job)
		}
		for m != nil && err == nil {
			room = m.envelope.Message
			more := n+1 < s.options.MailsPerConnection
			if m, err = s.deliver(ctx, conn, *m, used, more); m != nil {
				n++
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// begun is a mail that is marked as being sent.
type begun struct {
	job      zonewire.Job
	envelope Envelope
	at       time.Time
}

// begin composes a job and marks it as being sent. Until then an end of ctx leaves it untouched; from then on only the
// end of the grace time cuts it short. It gives nothing if there is nothing to send.
func (s *shift) begin(ctx context.Context, job zonewire.Job, room []byte) (*begun, error) {
	envelope, out, err := s.compose(ctx, job, room)
	if err != nil {
		return nil, quiet(ctx, err)
	}
	if out != nil {
		return nil, s.finish(job, *out, false)
	}
	if err := s.limiter.Wait(ctx); err != nil { // also when there is no limit and ctx has ended
		return nil, quiet(ctx, err)
	}
	m := &begun{job, envelope, time.Now()}
	err = s.persist(ctx, "begin", func(ctx context.Context) error { return s.store.Begin(ctx, job, m.at) })
	if errors.Is(err, zonewire.ErrLost) {
		s.takenBack(job)
		return nil, nil
	}
	if err != nil {
		return nil, quiet(ctx, err)
	}
	return m, nil
}

func (s *shift) takenBack(job zonewire.Job) {
	s.options.Log.Debug("delivery was taken back", "digest", job.Digest, "delivery", job.ID)
}

// deliver sends a mail and records its outcome, together with the begin of the next mail for this connection if there
// is one: that is then under way in its place. Only what goes as usual is worth the haste, so that whatever a refusal
// changes is seen by who sends next.
func (s *shift) deliver(ctx context.Context, conn Conn, m begun, used map[string]int, more bool) (*begun, error) {
	reply := conn.Send(s.hard, m.envelope)
	out := judge(reply, m.job, m.envelope.To, time.Now())
	if more && out.State == zonewire.Accepted && !m.job.Troubled && conn.Usable() && ctx.Err() == nil {
		if job, ok := s.queue.swap(m.job, used); ok {
			used[job.Provider]++
			return s.turn(ctx, m, out, job)
		}
	}
	defer s.queue.done(m.job)
	return nil, errors.Join(s.finish(m.job, out, false), s.observe(m.job, out, m.envelope.To, m.at))
}

// turn records an accepted mail and begins the job that took its place, in one write if it can. It gives nothing, and
// the job is done with, if there is nothing to send.
func (s *shift) turn(ctx context.Context, m begun, out zonewire.Outcome, job zonewire.Job) (next *begun, err error) {
	defer func() {
		if next == nil {
			s.queue.done(job)
		}
	}()
	envelope, failed, err := s.compose(ctx, job, m.envelope.Message)
	if err != nil || failed != nil || !s.limiter.Allow() {
		return s.oneByOne(ctx, m, out, job, false)
	}
	now := time.Now()
	var lost, taken error
	err = bounded(s.hard, func(ctx context.Context) (err error) {
		lost, taken, err = s.store.Turn(ctx, m.job, out, job, now)
		return err
	})
	if err != nil {
		return s.oneByOne(ctx, m, out, job, true)
	}
	s.recorded(m.job, out, lost)
	if taken != nil {
		s.takenBack(job)
	} else {
		next = &begun{job, envelope, now}
	}
	return next, s.observe(m.job, out, m.envelope.To, m.at)
}

// oneByOne records a mail and begins the next job, each as patiently as it needs. tried tells that both may be recorded.
func (s *shift) oneByOne(ctx context.Context, m begun, out zonewire.Outcome, job zonewire.Job, tried bool) (*begun, error) {
	if err := errors.Join(s.finish(m.job, out, tried), s.observe(m.job, out, m.envelope.To, m.at)); err != nil {
		return nil, err
	}
	return s.begin(ctx, job, m.envelope.Message)
}

// observe tells the provider's pace and breaker how a mail was answered. While all goes well nobody needs to know.
func (s *shift) observe(job zonewire.Job, out zonewire.Outcome, to string, began time.Time) error {
	if job.Kind != zonewire.DigestJob {
		return nil
	}
	pace := s.queue.count(job.Provider, began)
	if out.Verdict != zonewire.VerdictRate && out.Verdict != zonewire.VerdictPolicy && !job.Troubled {
		return nil
	}
	var opened bool
	err := s.persist(s.hard, "observe provider", func(ctx context.Context) (err error) {
		answer := zonewire.Answer{Verdict: out.Verdict, Text: provider.Redact(out.Reply, to), Began: began, PerHour: pace}
		opened, err = s.store.Observe(ctx, job.Provider, answer, time.Now())
		return err
	})
	if err == nil && out.Verdict != "" {
		err = s.reclaim()
	}
	if opened {
		s.options.Log.Warn("provider refuses us, its mail waits", "provider", job.Provider, "verdict", out.Verdict, "code", out.Code, "enhanced", out.Enhanced)
	}
	return err
}

// reclaim gives back what was claimed and not begun, so that the next claim goes by what a provider has just said.
func (s *shift) reclaim() error {
	if s.queue.clear() == 0 {
		return nil
	}
	return s.persist(s.hard, "release", func(ctx context.Context) error {
		_, err := s.store.Release(ctx, s.worker.Load(), time.Now())
		return err
	})
}

// compose makes the job's message in room, or tells what becomes of a job that has none.
func (s *shift) compose(ctx context.Context, job zonewire.Job, room []byte) (Envelope, *zonewire.Outcome, error) {
	var variant *Prepared
	if job.Mail == nil {
		err := s.persist(ctx, "read mail", func(ctx context.Context) (err error) {
			variant, err = s.variants.get(ctx, job.Variant)
			return err
		})
		if errors.Is(err, zonewire.ErrNotFound) {
			return Envelope{}, s.uncomposed(job, err), nil
		}
		if err != nil {
			return Envelope{}, nil, err
		}
	}
	to, err := s.composer.Address(job.Email)
	if err == nil {
		var e Envelope
		if variant != nil {
			e, err = variant.compose(room, job, to)
		} else {
			e, err = s.composer.Compose(*job.Mail, job, to)
		}
		if err == nil {
			return e, nil, nil
		}
		if !errors.Is(err, ErrAddress) {
			return Envelope{}, s.uncomposed(job, err), nil
		}
	}
	return Envelope{}, &zonewire.Outcome{
		State: zonewire.Rejected, Enhanced: "5.1.3", Reply: "not sent: the address is not one that mail can go to",
	}, nil
}

// uncomposed puts a job off whose mail cannot be made: that is no fault of its reader, and may be mended.
func (s *shift) uncomposed(job zonewire.Job, err error) *zonewire.Outcome {
	s.options.Log.Error("mail cannot be composed", "digest", job.Digest, "delivery", job.ID, "err", err)
	out := &zonewire.Outcome{Reply: "not sent: " + err.Error()}
	out.State, out.Next = later(job, 0, time.Now())
	return out
}

// finish records an outcome. It tries until the grace time is over: what is not recorded may be sent again. A claim that is gone
// after a try that failed, which tried tells of one before, has gone with that try: it was recorded.
func (s *shift) finish(job zonewire.Job, out zonewire.Outcome, tried bool) error {
	err := s.persist(s.hard, "finish", func(ctx context.Context) error {
		err := s.store.Finish(ctx, job, out, time.Now())
		if tried && errors.Is(err, zonewire.ErrLost) {
			return nil
		}
		tried = true
		return err
	})
	if err != nil && !errors.Is(err, zonewire.ErrLost) {
		s.options.Log.Error("outcome is not recorded", append(outcomeFields(job, out), "err", err)...)
		return err
	}
	s.recorded(job, out, err)
	return nil
}

// recorded notes an outcome that is in the store, or that came too late for it.
func (s *shift) recorded(job zonewire.Job, out zonewire.Outcome, lost error) {
	log := s.options.Log
	switch {
	case lost != nil:
		log.Warn("outcome came too late: another worker has the delivery", outcomeFields(job, out)...)
	case out.State != zonewire.Accepted:
		log.Info("mail not accepted", append(outcomeFields(job, out), "next", out.Next)...)
	case log.Enabled(s.hard, slog.LevelDebug): // asked first: of these there are many
		log.Debug("mail accepted", outcomeFields(job, out)...)
	}
	s.count(job, out)
}

func outcomeFields(job zonewire.Job, out zonewire.Outcome) []any {
	return []any{"digest", job.Digest, "delivery", job.ID, "state", out.State, "code", out.Code, "enhanced", out.Enhanced}
}

// count keeps a drain's progress. A mail whose reply was lost comes back in the same drain: it counts once, as what
// became of it last.
func (s *shift) count(job zonewire.Job, out zonewire.Outcome) {
	if s.patience == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := jobKey{job.Kind, job.ID}
	if before, again := s.unsettled[key]; again {
		s.progress.Counts[before]--
		s.progress.Done--
		delete(s.unsettled, key)
	}
	if out.Lost || out.State.Open() {
		s.unsettled[key] = out.State
	}
	s.progress.Counts[out.State]++
	s.progress.Done++
	s.progress.Total = max(s.progress.Total, s.progress.Done)
	if s.report != nil {
		s.report(s.progress)
	}
}

// persist calls the store until it answers. [zonewire.ErrLost] and [zonewire.ErrNotFound] are answers. Otherwise it
// fails when ctx ends or patience does. The call itself is not cut off by ctx: a cancelled write leaves it open whether
// it happened.
func (s *shift) persist(ctx context.Context, what string, call func(context.Context) error) error {
	wait, waits := time.Second, false
	defer func() {
		if waits {
			s.database.Done()
		}
	}()
	for try := 1; ; try++ {
		err := bounded(ctx, call)
		if err == nil || errors.Is(err, zonewire.ErrLost) || errors.Is(err, zonewire.ErrNotFound) {
			return err
		}
		if try == s.patience {
			return fmt.Errorf("%s: %w", what, err)
		}
		if !waits {
			waits = true
			s.database.Wait(err)
		}
		if sleep(ctx, wait) != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		wait = min(2*wait, storeSeldom)
	}
}

// bounded runs a call of the store that an end of ctx does not cut off.
func bounded(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	return call(ctx)
}

func (s *shift) signOn(ctx context.Context) error {
	return s.persist(ctx, "start worker", func(ctx context.Context) error {
		id, err := s.store.StartWorker(ctx, time.Now())
		s.worker.Store(id)
		return err
	})
}

// beat says that the worker lives, until the shift is over. A worker that was given up, because the machine slept or
// the database was away, is followed by a new one: the claims of the old one fail by themselves.
func (s *shift) beat() {
	living := trouble.New(s.options.Log, "heartbeat fails", "the heart beats again")
	for sleep(s.hard, beatEvery) == nil {
		err := bounded(s.hard, func(ctx context.Context) error { return s.store.Beat(ctx, s.worker.Load(), time.Now()) })
		if errors.Is(err, zonewire.ErrLost) || errors.Is(err, zonewire.ErrNotFound) {
			s.options.Log.Warn("worker was given up, starting a new one")
			err = s.signOn(s.hard)
		}
		living.Is(err)
	}
}

// signOff gives back what was not begun. A daemon that stops while the database is away leaves that to whoever finds its worker
// silent.
func (s *shift) signOff(ctx context.Context) error {
	err := bounded(ctx, func(ctx context.Context) error {
		_, err := s.store.Release(ctx, s.worker.Load(), time.Now())
		if err != nil {
			err = fmt.Errorf("release deliveries: %w", err)
		}
		if stop := s.store.StopWorker(ctx, s.worker.Load(), time.Now()); stop != nil {
			err = errors.Join(err, fmt.Errorf("stop worker: %w", stop))
		}
		return err
	})
	if err != nil && s.patience == 0 {
		s.options.Log.Warn("worker did not sign off, its mail waits until others take it over", "err", err)
		return nil
	}
	return err
}
