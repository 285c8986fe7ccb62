package main

import (
	"database/sql"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"zonewire/internal/pgtest"
	"zonewire/internal/smtptest"
)

// crash is how hard a crash test is. `make test-crash` runs the long ones.
type crash struct{ readers, kills, freezes, connections int }

var (
	longCrash   = flag.Bool("crash", false, "run the crash tests of 5,000 readers, 50 kills and 3 freezes (some 3 minutes an engine)")
	quickCrash  = crash{readers: 1000, kills: 10, connections: 10}
	frozenCrash = crash{readers: 300, freezes: 1, connections: 10}
)

func TestKillNineLosesNobody(t *testing.T) {
	t.Parallel()
	quickCrash.drains(t)
}

func TestAFrozenSenderIsFollowedByAnotherAndMissesNobody(t *testing.T) {
	t.Parallel() // it mostly waits
	frozenCrash.drains(t)
}

func TestReplicasThatAreKilledOrFrozenLoseNobody(t *testing.T) {
	t.Parallel() // it mostly waits
	crash{readers: 800, kills: 6, freezes: 1, connections: 4}.replicas(t)
}

func TestCrashLong(t *testing.T) {
	if !*longCrash {
		t.Skip("run it with -crash")
	}
	t.Run("a file, one sender after another", crash{readers: 5000, kills: 50, freezes: 3, connections: 10}.drains)
	t.Run("PostgreSQL, three replicas", crash{readers: 5000, kills: 50, freezes: 3, connections: 4}.replicas)
}

// brake is a mail server that answers only so many mails, and lets the others wait for their answer. So an accident
// comes in the middle of a send, however fast the machine is.
type brake struct {
	mu             sync.Mutex
	changed        *sync.Cond
	taken, allowed int
}

func newBrake() *brake {
	b := &brake{}
	b.changed = sync.NewCond(&b.mu)
	return b
}

// allow lets n mails in all be answered.
func (b *brake) allow(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.allowed = n
	b.changed.Broadcast()
}

func (b *brake) script(e smtptest.Event) smtptest.Action {
	if e.Stage == smtptest.Dot {
		b.mu.Lock()
		defer b.mu.Unlock()
		for b.taken >= b.allowed {
			b.changed.Wait()
		}
		b.taken++
	}
	return smtptest.Action{}
}

// next lets a share of the mails go for accident n, and says after how many in all it happens: half of the time when each
// connection waits for its reply.
func (c crash) next(n int, b *brake, srv *smtptest.Server, random *rand.Rand) int {
	allowed, sent := c.readers*(n+1)/(c.kills+c.freezes+1), len(srv.Mails())
	b.allow(allowed)
	if random.IntN(2) == 0 {
		return allowed - 1
	}
	return sent + random.IntN(max(1, allowed-sent))
}

// freeze stops a process while it does not hold the database's lock: the kernel would keep that for it, and nobody
// could write before it goes on.
func (s *site) freeze(cmd *exec.Cmd) {
	s.t.Helper()
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(s.dir, "zonewire.db")+"?_busy_timeout=100&_txlock=immediate")
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	for range 200 {
		if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
			s.t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond) // its threads stop one after the other
		tx, err := db.Begin()
		if err == nil {
			if err := tx.Rollback(); err != nil {
				s.t.Fatal(err)
			}
			return
		}
		if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
			s.t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond)
	}
	s.t.Fatal("the process always holds the lock")
}

// drains sends one digest by drains that are killed, or frozen for longer than a worker may be silent, at random moments;
// each is followed by another. In the end everybody has the mail, nobody more often than there were accidents, a repeat
// is the same message, and the counts sum after each.
func (c crash) drains(t *testing.T) {
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	accidents := c.kills + c.freezes
	brake := newBrake()
	srv := smtptest.New(t, smtptest.Options{Script: brake.script})
	t.Cleanup(func() { brake.allow(math.MaxInt) }) // or the server cannot end
	s := newSite(t, append(smtpEnv(srv), fmt.Sprintf("ZONEWIRE_MAIL_CONNECTIONS=%d", c.connections))...)
	s.fill(c.readers)

	var frozen []*exec.Cmd
	for n := range accidents {
		cmd := s.command("outbox", "drain")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		freeze := n%max(1, accidents/max(1, c.freezes)) == 0 && len(frozen) < c.freezes
		some := c.next(n, brake, srv, random)
		if freeze {
			some++ // it must hold something
		}
		s.within(time.Minute, "some more mails", func() bool { return len(srv.Mails()) >= some })
		time.Sleep(time.Duration(random.Int64N(int64(20 * time.Millisecond))))
		if freeze {
			s.freeze(cmd)
			frozen = append(frozen, cmd)
			time.Sleep(21 * time.Second) // a worker silent for 20 s is given up
		} else if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if !freeze {
			_ = cmd.Wait() // killed: nothing else can be said of it
		}
		s.counts()
	}
	brake.allow(math.MaxInt)
	// The next drain takes over from all of them; then those that were frozen go on, and must notice.
	s.run("outbox", "drain")
	for _, cmd := range frozen {
		if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("a drain that was frozen ended with %v", err)
		}
	}
	s.run("outbox", "drain")
	if got := s.counts(); got["accepted"] != c.readers {
		t.Errorf("after %d accidents: %v, want all %d accepted", accidents, got, c.readers)
	}

	repeats := everybodyHasIt(t, srv, c.readers, accidents*c.connections)
	t.Logf("%d mails sent twice in %d kills and %d freezes", repeats, c.kills, c.freezes)
}

// everybodyHasIt checks that every reader of [site.writeSample] has the mail, and that repeats are within their bound and
// the same message. It counts them.
func everybodyHasIt(t *testing.T, srv *smtptest.Server, readers, bound int) (repeats int) {
	t.Helper()
	mails, got := srv.Mails(), map[string]int{}
	for _, m := range mails {
		got[m.To]++
	}
	for i := range readers {
		if to := readerAddress(i); got[to] == 0 {
			t.Errorf("%s got nothing", to)
		}
	}
	repeats = len(mails) - readers
	if repeats < 0 || repeats > bound {
		t.Errorf("%d mails were sent twice, want at most %d", repeats, bound)
	}
	if ids := srv.MessageIDs(); len(ids) != readers {
		t.Errorf("%d different Message-IDs, want %d: a repeat must be the same message", len(ids), readers)
	}
	return repeats
}

// replicas sends one digest by three daemons on one PostgreSQL database. One after another is killed and started anew, or
// frozen for longer than a worker may be silent, each time when some more mails have gone. A freeze may catch a transaction:
// the server ends it.
func (c crash) replicas(t *testing.T) {
	const senders = 3
	seed := time.Now().UnixNano()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	accidents := c.kills + c.freezes
	brake := newBrake()
	srv := smtptest.New(t, smtptest.Options{Script: brake.script})
	t.Cleanup(func() { brake.allow(math.MaxInt) }) // or the server cannot end
	dsn := pgtest.Database(t)
	s := newPostgresSite(t, dsn, append(smtpEnv(srv), fmt.Sprintf("ZONEWIRE_MAIL_CONNECTIONS=%d", c.connections))...)
	s.fill(c.readers)
	var running [senders]*replica
	for i := range running {
		running[i] = s.replica(fmt.Sprintf("replica%d", i+1))
	}

	type ice struct {
		*replica
		until time.Time
	}
	var frozen []ice
	thaw := func() {
		for _, f := range frozen {
			time.Sleep(time.Until(f.until))
			f.signal(syscall.SIGCONT)
		}
		frozen = nil
	}
	defer thaw() // or it cannot be stopped
	froze := 0
	for n := range accidents {
		some := c.next(n, brake, srv, random)
		s.within(time.Minute, "some more mails", func() bool { return len(srv.Mails()) >= some })
		i := random.IntN(senders)
		holds := func() bool {
			const text = "SELECT COUNT(*) FROM delivery JOIN worker ON worker.id = worker_id WHERE state = 1 AND began_ms = 0 AND pid = %d"
			return pgtest.Query(t, dsn, fmt.Sprintf(text, running[i].cmd.Process.Pid)) != "0"
		}
		if n%max(1, accidents/max(1, c.freezes)) == 0 && froze < c.freezes {
			froze++
			s.within(time.Minute, "the one to be frozen to hold mails", holds)
			running[i].signal(syscall.SIGSTOP)
			frozen = append(frozen, ice{running[i], time.Now().Add(21 * time.Second)}) // a worker silent for 20 s is given up
		} else {
			running[i].kill()
		}
		running[i] = s.replica(fmt.Sprintf("replica%d-%d", i+1, n))
		s.counts()
	}
	brake.allow(math.MaxInt)
	// What was frozen goes on, and must notice that others have its mails, or finish them if nobody has.
	s.within(time.Minute, "everybody's mail but what is frozen", func() bool { return srv.Count(smtptest.Dot) >= c.readers })
	thaw()
	time.Sleep(2 * time.Second) // it would send what it still holds
	s.within(time.Minute, "everybody's mail", func() bool { return s.counts()["accepted"] == c.readers })
	repeats := everybodyHasIt(t, srv, c.readers, accidents*c.connections)
	t.Logf("%d mails sent twice in %d kills and %d freezes", repeats, c.kills, c.freezes)
}
