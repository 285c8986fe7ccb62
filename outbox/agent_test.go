package outbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"zonewire"
	"zonewire/internal/smtptest"
	"zonewire/outbox"
)

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

func newAgent(st outbox.Store, tr outbox.Transport, o outbox.Options) *outbox.Agent {
	if o.Log == nil {
		o.Log = quietLog()
	}
	return outbox.New(st, tr, composer, o)
}

// start runs an agent in the background; stop ends it and fails if Run gives an error.
func start(t *testing.T, a *outbox.Agent) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	return sync.OnceFunc(func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestDrainSendsAllThatIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, wire := newStore(t, 250), &fakeWire{}
		st.add(zonewire.Job{ID: 900, Email: "no address"})
		st.add(zonewire.Job{ID: 901, Email: "later@example.net"})
		st.rows[901].next = time.Now().Add(time.Hour)
		var seen []outbox.Progress
		counts, err := newAgent(st, wire, outbox.Options{Connections: 4, MailsPerConnection: 20}).Drain(t.Context(), func(p outbox.Progress) { seen = append(seen, p) })
		if err != nil {
			t.Fatal(err)
		}
		if counts[zonewire.Accepted] != 250 || counts[zonewire.Rejected] != 1 || counts.Sum() != 251 {
			t.Errorf("counts %v", counts)
		}
		for i, p := range seen {
			if p.Done != i+1 || p.Total != 251 || p.Counts.Sum() != p.Done {
				t.Fatalf("progress %d is %+v", i, p)
			}
		}
		if len(seen) != 251 {
			t.Errorf("%d calls of progress, want 251", len(seen))
		}
		if n := wire.once(t); n != 250 || wire.most > 4 || len(wire.dials) < 13 {
			t.Errorf("%d mails over %d connections, %d at once", n, len(wire.dials), wire.most)
		}
		if r := st.row(900).last; r.State != zonewire.Rejected || r.Enhanced != "5.1.3" || !strings.Contains(r.Reply, "address") {
			t.Errorf("bad address is %+v", r)
		}
		if st.row(901).state != zonewire.Pending {
			t.Errorf("what is due later is %v", st.row(901).state)
		}
		if st.loads != 1 {
			t.Errorf("the mail was read %d times for 250 readers", st.loads)
		}
		st.settled()
	})
}

func TestDrainOpensFewConnectionsForFewMails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, wire := newStore(t, 2), &fakeWire{}
		if _, err := newAgent(st, wire, outbox.Options{}).Drain(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if len(wire.dials) > 2 || wire.once(t) != 2 {
			t.Errorf("%d connections for 2 mails", len(wire.dials))
		}
	})
}

func TestDrainWhilePausedSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, wire := newStore(t, 5), &fakeWire{}
		st.paused = true
		counts, err := newAgent(st, wire, outbox.Options{}).Drain(t.Context(), nil)
		if err != nil || counts.Sum() != 0 || len(wire.dials) != 0 {
			t.Errorf("counts %v, error %v, %d connections", counts, err, len(wire.dials))
		}
		st.settled()
	})
}

func TestDrainCountsALostReplyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStore(t, 3)
		lost := outbox.Reply{Stage: outbox.StageDot, Text: "EOF"}
		wire := &fakeWire{send: func(ctx context.Context, n int, e outbox.Envelope) outbox.Reply {
			if bytes.Contains(e.Message, []byte("d7.s2002.")) || n == 1 {
				return lost
			}
			return outbox.Reply{Stage: outbox.StageDot, Code: 250, Text: "ok"}
		}}
		counts, err := newAgent(st, wire, outbox.Options{Connections: 1}).Drain(t.Context(), nil)
		if err != nil || counts[zonewire.Accepted] != 2 || counts[zonewire.Uncertain] != 1 || counts.Sum() != 3 {
			t.Errorf("counts %v, error %v", counts, err)
		}
		if r := st.row(2); r.state != zonewire.Uncertain || r.job.Losses != zonewire.MaxLosses {
			t.Errorf("the mail that is always lost is %v after %d losses", r.state, r.job.Losses)
		}
		wire.once(t)
		st.settled()
	})
}

func TestDrainGivesUpWhenTheServerIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStore(t, 30)
		down := errors.New("mail server relay.example:587: connection refused: is it running?")
		wire := &fakeWire{dial: func(int) error { return down }}
		counts, err := newAgent(st, wire, outbox.Options{}).Drain(t.Context(), nil)
		if !errors.Is(err, down) || counts.Sum() != 0 {
			t.Errorf("counts %v, error %v", counts, err)
		}
		if got := st.counts()[zonewire.Pending]; got != 30 {
			t.Errorf("%d of 30 are pending again", got)
		}
		for id := range int64(30) {
			if r := st.row(id + 1); r.job.Attempts != 0 {
				t.Errorf("an attempt is counted against %d", id+1)
			}
		}
		st.settled()
	})
}

func TestDrainGoesOnWhenTheServerLimitsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, wire := newStore(t, 100), &fakeWire{}
		wire.dial = func(int) error {
			if wire.open >= 2 {
				return errors.New("421 too many connections")
			}
			return nil
		}
		wire.send = func(context.Context, int, outbox.Envelope) outbox.Reply {
			time.Sleep(time.Second)
			return outbox.Reply{Stage: outbox.StageDot, Code: 250, Text: "ok"}
		}
		counts, err := newAgent(st, wire, outbox.Options{Connections: 10}).Drain(t.Context(), nil)
		if err != nil || counts[zonewire.Accepted] != 100 || wire.once(t) != 100 {
			t.Errorf("counts %v, error %v", counts, err)
		}
		st.settled()
	})
}

func TestDrainGivesUpWhenTheDatabaseIsDown(t *testing.T) {
	for _, call := range []string{"Due", "StartWorker", "Claim", "Variant", "Begin", "Finish", "Release", "StopWorker"} {
		t.Run(call, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st, wire := newStore(t, 3), &fakeWire{}
				st.fail = func(c string) error {
					if c == call {
						return errStore
					}
					return nil
				}
				_, err := newAgent(st, wire, outbox.Options{Connections: 1}).Drain(t.Context(), nil)
				if !errors.Is(err, errStore) {
					t.Errorf("error %v", err)
				}
				if call == "Begin" && len(wire.sends) != 0 {
					t.Errorf("%d mails were sent that could not be begun", len(wire.sends))
				}
				if call == "Finish" && len(wire.sends) != 1 {
					t.Errorf("%d mails were sent while outcomes could not be recorded", len(wire.sends))
				}
			})
		})
	}
}

func TestRunWaitsForADatabaseThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, wire := newStore(t, 40), &fakeWire{}
		began := time.Now()
		st.fail = func(call string) error {
			// Calls fail until a while after the start, each a different while, so that every one is met failing.
			if time.Since(began) < time.Duration(len(call))*10*time.Second {
				return errStore
			}
			return nil
		}
		stop := start(t, newAgent(st, wire, outbox.Options{Connections: 3}))
		time.Sleep(10 * time.Minute)
		stop()
		if n := wire.once(t); n != 40 || st.counts()[zonewire.Accepted] != 40 {
			t.Errorf("%d mails sent, %v", n, st.counts())
		}
		st.settled()
	})
}

// The database goes away in the middle, before it has done what was asked or after, and the answer is lost.
func TestADatabaseThatGoesAwayCostsNoMail(t *testing.T) {
	for _, c := range []struct {
		name string
		away func(st *fakeStore, fail func(string) error)
	}{
		{"before", func(st *fakeStore, fail func(string) error) { st.fail = fail }},
		{"after", func(st *fakeStore, fail func(string) error) { st.lose = fail }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				st, wire := newStore(t, 200), &fakeWire{}
				wire.send = func(context.Context, int, outbox.Envelope) outbox.Reply {
					time.Sleep(200 * time.Millisecond)
					return outbox.Reply{Stage: outbox.StageDot, Code: 250, Text: "ok"}
				}
				began, sent := time.Now(), 0
				away := func() bool { d := time.Since(began); return d > 2*time.Second && d < 14*time.Second }
				c.away(st, func(string) error {
					if away() {
						return fmt.Errorf("port %d: %w", time.Since(began), zonewire.ErrUnavailable)
					}
					return nil
				})
				stop := start(t, newAgent(st, wire, outbox.Options{Connections: 5, Log: slog.New(slog.NewTextHandler(&log, nil))}))
				time.Sleep(3 * time.Second)
				wire.mu.Lock()
				sent = len(wire.ids)
				wire.mu.Unlock()
				time.Sleep(10 * time.Second)
				wire.mu.Lock()
				if c.name == "before" && len(wire.ids) != sent {
					t.Errorf("%d mails were sent while nothing could be recorded", len(wire.ids)-sent)
				}
				wire.mu.Unlock()
				time.Sleep(2 * time.Minute)
				stop()
				if n := wire.once(t); n != 200 || st.counts()[zonewire.Accepted] != 200 {
					t.Errorf("%d mails sent, %v", n, st.counts())
				}
				if n := strings.Count(log.String(), "level=ERROR"); n < 1 || n > 2 || strings.Contains(log.String(), "level=WARN") {
					t.Errorf("logged %d errors, want one of the outbox and one of its heart:\n%s", n, log.String())
				}
				if !strings.Contains(log.String(), "the database is back") {
					t.Errorf("the log does not tell that it is over:\n%s", log.String())
				}
				st.settled()
			})
		})
	}
}

func TestWhatAClaimHasTakenWhoseAnswerIsLostGoesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, wire := newStore(t, 40), &fakeWire{}
		claims := 0
		st.lose = func(call string) error {
			if call == "Claim" {
				if claims++; claims == 1 {
					return zonewire.ErrUnavailable
				}
			}
			return nil
		}
		stop := start(t, newAgent(st, wire, outbox.Options{Connections: 3}))
		time.Sleep(time.Minute)
		if n := st.counts()[zonewire.Accepted]; n != 40 {
			t.Errorf("%d mails of 40 were sent", n)
		}
		stop()
		wire.once(t)
	})
}

func TestRunEndsWellWhileTheDatabaseIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, wire := newStore(t, 40), &fakeWire{}
		stop := start(t, newAgent(st, wire, outbox.Options{Connections: 3}))
		time.Sleep(10 * time.Second)
		st.mu.Lock()
		st.fail = func(string) error { return zonewire.ErrUnavailable }
		st.mu.Unlock()
		time.Sleep(10 * time.Second)
		stop()
		wire.once(t)
	})
}

func TestRunWaitsForAServerThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		st := newStore(t, 60)
		down := errors.New("mail server relay.example:587: connection refused: is it running?")
		wire := &fakeWire{dial: func(n int) error {
			if n <= 10 {
				return down
			}
			return nil
		}}
		stop := start(t, newAgent(st, wire, outbox.Options{Connections: 5, Log: slog.New(slog.NewTextHandler(&log, nil))}))
		time.Sleep(time.Hour)
		stop()
		var waits []time.Duration
		for i := 1; i < 10; i++ {
			waits = append(waits, wire.dials[i].Sub(wire.dials[i-1]))
		}
		want := []time.Duration{2, 4, 8, 16, 32, 60, 60, 60, 60}
		// The first failures may come together, before the first has told the others.
		together := 0
		for together < len(waits) && waits[together] == 0 {
			together++
		}
		for i, w := range waits[together:] {
			if w != want[i]*time.Second {
				t.Fatalf("waits between dials %v, want %v seconds", waits, want)
			}
		}
		if wire.once(t) != 60 || st.counts()[zonewire.Accepted] != 60 {
			t.Errorf("%v", st.counts())
		}
		for id := range int64(60) {
			if r := st.row(id + 1); r.job.Attempts != 1 {
				t.Errorf("delivery %d counts %d attempts", id+1, r.job.Attempts)
			}
		}
		if got := log.String(); !strings.Contains(got, "relay.example:587") || !strings.Contains(got, "answers again") || strings.Contains(got, "reader@") {
			t.Errorf("log:\n%s", got)
		}
		st.settled()
	})
}

func TestRunTriesAgainOnSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStore(t, 1)
		slot := time.Now()
		wire := &fakeWire{send: func(context.Context, int, outbox.Envelope) outbox.Reply {
			return outbox.Reply{Stage: outbox.StageRcpt, Code: 450, Text: "4.2.0 busy"}
		}}
		stop := start(t, newAgent(st, wire, outbox.Options{}))
		time.Sleep(60 * time.Hour)
		stop()
		if r := st.row(1); r.state != zonewire.Expired || r.last.Code != 450 {
			t.Errorf("after 60 hours it is %v, %+v", r.state, r.last)
		}
		if n := len(wire.sends); n < 10 || n > 14 {
			t.Errorf("%d tries in 48 hours", n)
		}
		last := wire.sends[len(wire.sends)-1].Sub(slot)
		if last < zonewire.GiveUpAfter || last > zonewire.GiveUpAfter+time.Minute {
			t.Errorf("the last try is %v after the slot, want at %v", last, zonewire.GiveUpAfter)
		}
		st.settled()
	})
}

func TestRunKeepsTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, wire := newStore(t, 50), &fakeWire{}
		stop := start(t, newAgent(st, wire, outbox.Options{Rate: 5}))
		time.Sleep(5 * time.Second)
		stop()
		if n := len(wire.sends); n < 24 || n > 26 {
			t.Errorf("%d mails in 5 seconds at 5 a second", n)
		}
		st.settled()
	})
}

func TestRunClosesIdleConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, wire := newStore(t, 3), &fakeWire{}
		stop := start(t, newAgent(st, wire, outbox.Options{}))
		defer stop()
		time.Sleep(30 * time.Second)
		wire.once(t) // nothing is open
		if len(wire.dials) > 3 {
			t.Errorf("%d connections for 3 mails", len(wire.dials))
		}
	})
}

func TestRunSendsNothingThatWasTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, wire := newStore(t, 1), &fakeWire{}
		st.fail = func(call string) error {
			if call == "Begin" {
				st.rows[1].job.Claim, st.rows[1].state = 0, zonewire.Cancelled // the reader left
			}
			return nil
		}
		stop := start(t, newAgent(st, wire, outbox.Options{}))
		time.Sleep(time.Minute)
		stop()
		if len(wire.sends) != 0 || st.row(1).state != zonewire.Cancelled {
			t.Errorf("%d mails sent, delivery is %v", len(wire.sends), st.row(1).state)
		}
	})
}

func TestRunStartsANewWorkerWhenItWasGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, wire := newStore(t, 1), &fakeWire{}
		stop := start(t, newAgent(st, wire, outbox.Options{}))
		time.Sleep(time.Minute)
		st.mu.Lock()
		clear(st.workers)
		st.mu.Unlock()
		st.add(zonewire.Job{ID: 2, Email: "b@example.net"})
		time.Sleep(time.Minute)
		stop()
		if got := st.counts()[zonewire.Accepted]; got != 2 {
			t.Errorf("%d of 2 accepted", got)
		}
		st.settled()
	})
}

func TestRunPutsOffWhatCannotBeComposed(t *testing.T) {
	for name, spoil := range map[string]func(*fakeStore){
		"no such mail":         func(st *fakeStore) { clear(st.variants) },
		"sender is no address": func(st *fakeStore) { m := zhMail(); m.From = "x"; st.variants[1] = zonewire.Variant{Mail: m} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st, wire := newStore(t, 1), &fakeWire{}
				spoil(st)
				counts, err := newAgent(st, wire, outbox.Options{}).Drain(t.Context(), nil)
				if err != nil || counts[zonewire.Deferred] != 1 || len(wire.sends) != 0 {
					t.Errorf("counts %v, error %v", counts, err)
				}
				if r := st.row(1); r.job.Attempts != 0 || !strings.Contains(r.last.Reply, "not sent") {
					t.Errorf("row %+v", r)
				}
				st.settled()
			})
		})
	}
}

func TestStopFinishesWhatWasBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStore(t, 100)
		wire := &fakeWire{send: func(ctx context.Context, n int, e outbox.Envelope) outbox.Reply {
			time.Sleep(7 * time.Second)
			if ctx.Err() != nil {
				return outbox.Reply{Stage: outbox.StageData, Text: "cut"}
			}
			return outbox.Reply{Stage: outbox.StageDot, Code: 250, Text: "ok"}
		}}
		stop := start(t, newAgent(st, wire, outbox.Options{Connections: 4}))
		time.Sleep(10 * time.Second) // in the middle of the second mail of each
		stop()
		counts := st.counts()
		if sent := len(wire.sends); counts[zonewire.Accepted] != sent || sent < 4 || sent > 8 || wire.once(t) != sent {
			t.Errorf("%d mails begun, %v", sent, counts)
		}
		if counts[zonewire.Pending]+counts[zonewire.Accepted] != 100 {
			t.Errorf("%v", counts)
		}
		st.settled()
	})
}

func TestStopCutsAServerThatHangs(t *testing.T) {
	for _, tt := range []struct {
		stage outbox.Stage
		lost  bool
	}{{outbox.StageRcpt, false}, {outbox.StageDot, true}} {
		t.Run(tt.stage.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newStore(t, 1)
				wire := &fakeWire{send: func(ctx context.Context, n int, e outbox.Envelope) outbox.Reply {
					<-ctx.Done()
					return outbox.Reply{Stage: tt.stage, Text: "use of closed network connection"}
				}}
				stop := start(t, newAgent(st, wire, outbox.Options{}))
				time.Sleep(5 * time.Minute)
				told := time.Now()
				stop()
				if took := time.Since(told); took != 30*time.Second {
					t.Errorf("stopping took %v, want the grace of 30s", took)
				}
				if r := st.row(1); r.state != zonewire.Deferred || r.last.Lost != tt.lost {
					t.Errorf("row %+v", r)
				}
				st.settled()
			})
		})
	}
}

// TestStopMidSend is the same over real sockets: the context ends while mails are on the wire, again and again, and in
// the end each reader has got exactly one.
func TestStopMidSend(t *testing.T) {
	const readers = 120
	st := newStore(t, readers)
	stops := make(chan func(), 1)
	s := smtptest.New(t, smtptest.Options{Script: func(e smtptest.Event) smtptest.Action {
		if e.Stage == smtptest.Body && e.N%25 == 0 { // the message is being written
			go (<-stops)()
			time.Sleep(5 * time.Millisecond)
		}
		return smtptest.Action{}
	}})
	tr, err := outbox.NewSMTP(config(s, outbox.NoTLS))
	if err != nil {
		t.Fatal(err)
	}
	for range readers/25 + 1 {
		ctx, cancel := context.WithCancel(t.Context())
		stops <- cancel
		_, err := newAgent(st, tr, outbox.Options{Connections: 6}).Drain(ctx, nil)
		cancel()
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		select {
		case <-stops:
		default:
		}
		st.settled()
	}
	if got := st.counts()[zonewire.Accepted]; got != readers {
		t.Errorf("%d of %d accepted: %v", got, readers, st.counts())
	}
	ids := s.MessageIDs()
	if len(ids) != readers {
		t.Errorf("%d of %d readers have their mail", len(ids), readers)
	}
	for id, n := range ids {
		if n != 1 {
			t.Errorf("%s arrived %d times", id, n)
		}
	}
}

// TestDrainThroughFaults drains through a server that fails at every stage in turn: nobody is missing, nobody but
// those whose reply was lost gets a mail twice, and the repeat is the same message.
func TestDrainThroughFaults(t *testing.T) {
	const readers = 200
	faults := map[string]smtptest.Action{
		smtptest.Mail: {Reply: "421 4.7.0 slow down", Close: true},
		smtptest.Rcpt: {Reply: "450 4.2.0 try again in 10 seconds"},
		smtptest.Data: {Close: true},
		smtptest.Dot:  {Close: true, Take: true},
		smtptest.Rset: {Reply: "502 5.5.1 what"},
	}
	s := smtptest.New(t, smtptest.Options{Script: func(e smtptest.Event) smtptest.Action {
		if a, ok := faults[e.Stage]; ok && e.N%17 == 0 {
			return a
		}
		return smtptest.Action{}
	}})
	tr, err := outbox.NewSMTP(config(s, outbox.NoTLS))
	if err != nil {
		t.Fatal(err)
	}
	st := newStore(t, readers)
	for range 20 {
		if _, err := newAgent(st, tr, outbox.Options{Connections: 4}).Drain(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		st.settled()
		for _, r := range st.rows { // hours pass
			r.next = time.Now()
		}
	}
	if got := st.counts()[zonewire.Accepted]; got != readers {
		t.Errorf("%d of %d accepted: %v", got, readers, st.counts())
	}
	ids, losses := s.MessageIDs(), 0
	for _, r := range st.rows {
		losses += r.job.Losses
	}
	repeats := 0
	for _, n := range ids {
		repeats += n - 1
	}
	if len(ids) != readers || repeats > losses {
		t.Errorf("%d of %d readers have their mail, %d repeats for %d lost replies", len(ids), readers, repeats, losses)
	}
	raw := map[string][]byte{}
	for _, m := range s.Mails() {
		if before, ok := raw[m.MessageID]; ok && !bytes.Equal(before, m.Raw) {
			t.Errorf("the repeat of %s is another message", m.MessageID)
		}
		raw[m.MessageID] = m.Raw
	}
}

func ExampleAgent_Drain() {
	st := newStore(nil, 3)
	agent := outbox.New(st, &fakeWire{}, composer, outbox.Options{Connections: 1, Log: quietLog()})
	counts, err := agent.Drain(context.Background(), nil)
	fmt.Println(counts[zonewire.Accepted], err)
	// Output: 3 <nil>
}
