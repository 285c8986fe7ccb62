package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"zonewire/internal/pgtest"
	"zonewire/internal/smtptest"
)

var clusterTests = flag.Bool("cluster", false, "run the tests of a cluster that loses its primary (some 2 minutes each)")

func TestAClusterLosesItsPrimaryInTheMiddleOfASend(t *testing.T) {
	loseThePrimary(t, (*pgtest.Cluster).KillPrimary, nil)
}

// A machine whose cable is cut does not say goodbye: its connections stay, and nothing comes out of them. When it is
// back it believes for a moment that it is the primary.
func TestAClustersPrimaryFallsSilentInTheMiddleOfASend(t *testing.T) {
	loseThePrimary(t, (*pgtest.Cluster).FreezePrimary, (*pgtest.Cluster).Thaw)
}

// arrivals are the moments at which a mail server had a whole mail.
type arrivals struct {
	mu    sync.Mutex
	times []time.Time
}

func (a *arrivals) add(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.times = append(a.times, now)
}

// around splits what arrived at a moment.
func (a *arrivals) around(moment time.Time) (before, after []time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, at := range a.times {
		if at.After(moment) {
			return a.times[:i:i], a.times[i:]
		}
	}
	return a.times, nil
}

// perSecond is the rate of what arrived, from the first to the last.
func perSecond(times []time.Time) float64 {
	if len(times) < 2 {
		return 0
	}
	return float64(len(times)-1) / times[len(times)-1].Sub(times[0]).Seconds()
}

// loseThePrimary has three daemons on a cluster of three send to 5,000, and loses the primary somewhere in the middle.
// The daemons go on with the next primary by themselves, also when the lost one is back.
func loseThePrimary(t *testing.T, lose func(*pgtest.Cluster, testing.TB) string, back func(*pgtest.Cluster, testing.TB, string)) {
	const replicas, readers, connections = 3, 5000, 10
	if !*clusterTests {
		t.Skip("run it with -cluster, as make test-cluster does")
	}
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))

	arrived := &arrivals{}
	srv := smtptest.New(t, smtptest.Options{Script: func(e smtptest.Event) smtptest.Action {
		if e.Stage == smtptest.Dot {
			time.Sleep(20 * time.Millisecond) // as a relay takes
			arrived.add(time.Now())
		}
		return smtptest.Action{}
	}})
	cluster := pgtest.StartCluster(t)
	s := newPostgresSite(t, cluster.Database(t), append(smtpEnv(srv), fmt.Sprintf("ZONEWIRE_MAIL_CONNECTIONS=%d", connections))...)
	s.fillAtOnce(readers)
	var running [replicas]*replica
	for i := range running {
		running[i] = s.replica(fmt.Sprintf("replica%d", i+1))
	}
	all := func(ok func(*replica) bool) func() bool {
		return func() bool {
			for _, r := range running {
				if !ok(r) {
					return false
				}
			}
			return true
		}
	}
	s.within(time.Minute, "three ready daemons", all((*replica).ready))
	s.publish()
	s.within(time.Minute, "the article in the feeds", all(func(r *replica) bool { return r.answers("/zones/hubin/feed.rss") }))

	some := readers/4 + random.IntN(readers/4)
	s.within(2*time.Minute, "some of the mails", func() bool { return len(srv.Mails()) >= some })
	lost := lose(cluster, t)
	lostAt := time.Now()
	notReady := [replicas]bool{}
	s.within(time.Minute, "daemons that say that they are not ready", func() bool {
		for i, r := range running {
			notReady[i] = notReady[i] || !r.ready()
		}
		return notReady == [replicas]bool{true, true, true}
	})
	if !all(func(r *replica) bool { return r.answers("/zones/hubin/feed.rss") })() {
		t.Error("a daemon without its database does not serve the feed that it has")
	}
	next := cluster.WaitForPrimary(t)
	nextAt := time.Now()
	if next == lost {
		t.Fatalf("%s is the primary again", next)
	}

	if back != nil {
		soon := srv.Count(smtptest.Dot) + 200
		s.within(time.Minute, "mails that the next primary records", func() bool { return srv.Count(smtptest.Dot) >= soon })
		back(cluster, t, lost)
	}
	s.within(3*time.Minute, "all mails", func() bool { return srv.Count(smtptest.Dot) >= readers })
	s.within(time.Minute, "everybody's mail", func() bool { return s.counts()["accepted"] == readers })
	s.within(time.Minute, "three ready daemons", all((*replica).ready))
	repeats := everybodyHasIt(t, srv, readers, replicas*connections)

	before, _ := arrived.around(lostAt)
	_, after := arrived.around(nextAt)
	if len(after) == 0 {
		t.Fatal("everything was sent before there was another primary")
	}
	t.Logf("%d of %d mails had gone when the primary was lost; another after %.1f s; the first mail of it after %.1f s; %d mails twice (at most %d); %.0f mails/s before, %.0f after",
		len(before), readers, nextAt.Sub(lostAt).Seconds(), after[0].Sub(lostAt).Seconds(), repeats, replicas*connections, perSecond(before), perSecond(after))
}
