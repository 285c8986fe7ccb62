package outbox_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"zonewire"
	"zonewire/internal/provider"
	"zonewire/outbox"
)

// readersAt adds n deliveries to a provider's readers.
func (s *fakeStore) readersAt(group, domain string, first, n int) {
	for i := range n {
		s.add(zonewire.Job{ID: int64(first + i), Email: fmt.Sprintf("r%d@%s", first+i, domain), Provider: group})
	}
}

// Two providers that take a minute for each mail leave a connection free: a third one's mail, queued while they are at it,
// is out at once.
func TestASlowProviderHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStore(t, 0)
		st.readersAt(provider.QQ, "qq.com", 1, 40)
		st.readersAt("slow.example", "slow.example", 2001, 40) // no rules of its own, and slow too
		var mu sync.Mutex
		now, most := map[string]int{}, map[string]int{}
		began := time.Now().Add(10 * time.Second) // of the quick ones
		var last time.Time
		time.AfterFunc(time.Until(began), func() { st.readersAt("example.net", "example.net", 1001, 300) })
		wire := &fakeWire{send: func(ctx context.Context, n int, e outbox.Envelope) outbox.Reply {
			_, domain, _ := strings.Cut(e.To, "@")
			mu.Lock()
			now[domain]++
			most[domain] = max(most[domain], now[domain])
			mu.Unlock()
			if domain != "example.net" {
				time.Sleep(time.Minute)
			}
			mu.Lock()
			defer mu.Unlock()
			now[domain]--
			if domain == "example.net" {
				last = time.Now()
			}
			return outbox.Reply{Stage: outbox.StageDot, Code: 250, Text: "ok"}
		}}
		counts, err := newAgent(st, wire, outbox.Options{Connections: 10}).Drain(t.Context(), nil)
		if err != nil || counts[zonewire.Accepted] != 380 {
			t.Fatal(counts, err)
		}
		if took := last.Sub(began); took > 10*time.Second {
			t.Errorf("the quick provider's mail took %v", took)
		}
		if most["qq.com"] > 4 || most["slow.example"] > 9 {
			t.Errorf("under way at once: %v, want at most 4 to QQ, and one connection free of the other", most)
		}
		wire.once(t)
		st.settled()
	})
}

func TestAConnectionCarriesOnlySoManyMailsOfAProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStore(t, 0)
		st.readersAt(provider.QQ, "qq.com", 1, 80)
		st.readersAt("example.net", "example.net", 1001, 80)
		wire := &fakeWire{}
		counts, err := newAgent(st, wire, outbox.Options{Connections: 2}).Drain(t.Context(), nil)
		if err != nil || counts[zonewire.Accepted] != 160 {
			t.Fatal(counts, err)
		}
		if n := len(wire.dials); n < 10 || n > 16 {
			t.Errorf("%d connections for 80 mails to QQ at 8 a connection, with others between them", n)
		}
		wire.once(t)
	})
}

// The run of a provider that has had enough: its pace is halved, the pace is kept, and no other provider's mail waits.
func TestAComplaintAboutRateSlowsThatProviderOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStore(t, 0)
		st.readersAt(provider.QQ, "qq.com", 1, 700)
		st.readersAt("example.net", "example.net", 5001, 50)
		var mu sync.Mutex
		complained := false
		perMinute := map[int]int{}
		began := time.Now()
		wire := &fakeWire{send: func(ctx context.Context, n int, e outbox.Envelope) outbox.Reply {
			time.Sleep(20 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			if strings.HasSuffix(e.To, "@qq.com") {
				if !complained && n > 100 {
					complained = true
					return outbox.Reply{Stage: outbox.StageRcpt, Code: 550, Text: "Ip frequency limited"}
				}
				perMinute[int(time.Since(began)/time.Minute)]++
			}
			return outbox.Reply{Stage: outbox.StageDot, Code: 250, Text: "ok"}
		}}
		stop := start(t, newAgent(st, wire, outbox.Options{Connections: 4}))
		time.Sleep(5 * time.Minute)
		stop()
		p := st.provider(provider.QQ)
		limit := p.Limit(time.Now()) / 60
		if p.Rate == 0 || limit < 10 {
			t.Fatalf("pace %+v", *p)
		}
		for minute := 1; minute < 5; minute++ {
			if n := float64(perMinute[minute]); n > limit*1.02+2 || n < limit*0.8 {
				t.Errorf("minute %d: %v mails to QQ, want about the pace of %.0f a minute", minute, n, limit)
			}
		}
		if c := st.counts(); c[zonewire.Rejected] != 0 {
			t.Errorf("counts %v: a complaint about rate must reject nobody", c)
		}
		st.settled()
	})
}

// A provider that refuses us by policy is left alone after ten refusals; then one mail at a time asks how things stand.
func TestAProviderThatBlocksUsIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStore(t, 0)
		st.readersAt(provider.QQ, "qq.com", 1, 60)
		st.readersAt("example.net", "example.net", 1001, 20)
		var log bytes.Buffer
		var blocked atomic.Bool
		blocked.Store(true)
		var asked atomic.Int32
		wire := &fakeWire{send: func(ctx context.Context, n int, e outbox.Envelope) outbox.Reply {
			time.Sleep(20 * time.Millisecond)
			if blocked.Load() && strings.HasSuffix(e.To, "@qq.com") {
				asked.Add(1)
				return outbox.Reply{Stage: outbox.StageRcpt, Code: 550, Text: "Connection denied <" + e.To + ">"}
			}
			return outbox.Reply{Stage: outbox.StageDot, Code: 250, Text: "ok"}
		}}
		stop := start(t, newAgent(st, wire, outbox.Options{Connections: 1, Log: slog.New(slog.NewTextHandler(&log, nil))}))
		time.Sleep(14 * time.Minute)
		c := st.counts()
		if n := asked.Load(); n < 10 || n > 12 || c[zonewire.Accepted] != 20 || c[zonewire.Rejected] != 0 {
			t.Errorf("asked %d times, %v: want ten refusals, nobody rejected, and the others' mail sent", n, c)
		}
		time.Sleep(90 * time.Minute) // probes after 15, 30 and 60 minutes
		if n := asked.Load(); n < 12 || n > 16 {
			t.Errorf("asked %d times after an hour and a half, want a probe now and then", n)
		}
		blocked.Store(false)
		time.Sleep(5 * time.Hour)
		stop()
		if c := st.counts(); c[zonewire.Accepted] != 80 {
			t.Errorf("%v after the block was lifted, want everybody reached", c)
		}
		if !strings.Contains(log.String(), "provider refuses us") || strings.Contains(log.String(), "@") {
			t.Errorf("the log must name the provider and no address:\n%s", log.String())
		}
		if p := st.provider(provider.QQ); strings.Contains(p.Reason, "@") {
			t.Errorf("reason %q holds an address", p.Reason)
		}
		st.settled()
	})
}

// A drain sends what may be sent and ends: it does not sit out a breaker.
func TestDrainDoesNotWaitForAClosedDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStore(t, 0)
		st.readersAt(provider.QQ, "qq.com", 1, 50)
		st.readersAt("example.net", "example.net", 1001, 10)
		wire := &fakeWire{send: func(ctx context.Context, n int, e outbox.Envelope) outbox.Reply {
			if strings.HasSuffix(e.To, "@qq.com") {
				return outbox.Reply{Stage: outbox.StageDot, Code: 554, Text: "Mail content denied"}
			}
			return outbox.Reply{Stage: outbox.StageDot, Code: 250, Text: "ok"}
		}}
		began := time.Now()
		counts, err := newAgent(st, wire, outbox.Options{Connections: 2}).Drain(t.Context(), nil)
		if err != nil || counts[zonewire.Accepted] != 10 || time.Since(began) > time.Minute {
			t.Errorf("%v after %v: %v", counts, time.Since(began), err)
		}
		if c := st.counts(); c[zonewire.Pending] < 30 || c.Open() != 50 {
			t.Errorf("%v, want QQ's mail to wait", c)
		}
		st.settled()
	})
}

// Notices go ahead of digests, and past a breaker: somebody waits for each.
func TestNoticesGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStore(t, 60)
		mail := zhMail()
		mail.HTML, mail.Text = []string{"<p>请确认</p>"}, []string{"请确认"}
		var order []string
		wire := &fakeWire{send: func(ctx context.Context, n int, e outbox.Envelope) outbox.Reply {
			order = append(order, e.To)
			if n == 10 { // someone subscribes in the middle of a digest
				st.add(zonewire.Job{ID: 900, Email: "waiting@example.net"})
				st.mu.Lock()
				defer st.mu.Unlock()
				j := &st.rows[900].job
				j.Kind, j.Mail, j.Variant, j.Digest, j.Subscription = zonewire.NoticeJob, &mail, 0, 0, 0
			}
			return outbox.Reply{Stage: outbox.StageDot, Code: 250, Text: "ok"}
		}}
		if _, err := newAgent(st, wire, outbox.Options{Connections: 1}).Drain(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		at := 0
		for i, to := range order {
			if to == "waiting@example.net" {
				at = i
			}
		}
		if len(order) != 61 || at < 10 || at > 30 { // at the latest with the next claim, before all that was not claimed yet
			t.Errorf("the notice was mail %d of %d", at+1, len(order))
		}
	})
}
