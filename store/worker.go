package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"zonewire"
)

// silentAfter is how long a worker may be silent before its rows are taken over. It beats every 5 seconds.
const silentAfter = 20 * time.Second

var (
	qWorkerStart = sqlText(`
		INSERT INTO worker (host, pid, pid_start, started_ms, beat_ms, stopped_ms)
		VALUES (?1, ?2, ?3, ?4, ?4, 0)
		RETURNING id`)
	// A beat revives: a worker that was frozen and taken for dead has lost its rows, and may claim others.
	qWorkerBeat   = sqlText(`UPDATE worker SET beat_ms = ?2, stopped_ms = 0 WHERE id = ?1`)
	qWorkerStop   = sqlText(`UPDATE worker SET stopped_ms = ?2 WHERE id = ?1`)
	qWorkerGone   = sqlText(`UPDATE worker SET stopped_ms = ?2 WHERE id = ?1 AND stopped_ms = 0 AND beat_ms = ?3`)
	qWorkersAlive = sqlText(`SELECT id, host, pid, pid_start, beat_ms FROM worker WHERE stopped_ms = 0 AND id <> ?1`)
)

// The statements that give a worker's rows back, for deliveries and notices alike.
var (
	giveBack = tables(`
		UPDATE {table}
		SET state = CASE WHEN attempts = 0 THEN 0 ELSE 2 END, claim = 0, worker_id = 0, next_ms = ?2
		WHERE worker_id = ?1 AND worker_id <> 0 AND state IN (0, 1, 2) AND state = 1 AND began_ms = 0`)
	lostAgain = tables(`
		UPDATE {table}
		SET state = CASE WHEN reason = '' THEN 2 ELSE 5 END, claim = 0, worker_id = 0, began_ms = 0, next_ms = ?2, losses = losses + 1, reply = 'the sender stopped before the reply was recorded'
		WHERE worker_id = ?1 AND worker_id <> 0 AND state IN (0, 1, 2) AND state = 1 AND began_ms > 0 AND losses + 1 < ?3`)
	lostForGood = tables(`
		UPDATE {table}
		SET state = 5, claim = 0, began_ms = 0, done_ms = ?2, losses = losses + 1, reply = 'the sender stopped before the reply was recorded'
		WHERE worker_id = ?1 AND worker_id <> 0 AND state IN (0, 1, 2) AND state = 1 AND began_ms > 0`)
)

// tables writes a statement for deliveries and one for notices: both are mail, and go by the same rules.
func tables(text string) [2]query {
	return [2]query{
		zonewire.DigestJob: sqlText(strings.ReplaceAll(text, "{table}", "delivery")),
		zonewire.NoticeJob: sqlText(strings.ReplaceAll(text, "{table}", "notice")),
	}
}

// StartWorker registers a sender. It must beat every 5 seconds, or others take its rows over.
func (db *DB) StartWorker(ctx context.Context, now time.Time) (id int64, err error) {
	err = db.transact(ctx, "start worker", free, func(q querier) error {
		return q.row(ctx, qWorkerStart, []any{thisHost(), int64(os.Getpid()), processStart(os.Getpid()), toMs(now)}, &id)
	})
	if err == nil {
		err = db.remember(now)
	}
	return id, err
}

// Beat says that a worker lives.
func (db *DB) Beat(ctx context.Context, worker int64, now time.Time) error {
	err := db.transact(ctx, "beat", free, func(q querier) error { return beat(ctx, q, worker, now) })
	if err == nil {
		db.sight.seen(now)
		err = db.remember(now)
	}
	return err
}

// sight is since when this process has seen the database without a gap. When the database was away nobody could beat: a
// worker is judged silent only by who has seen it be silent.
type sight struct {
	mu          sync.Mutex
	since, last time.Time
}

// seen notes that the database answers. The first time says nothing of what was before.
func (s *sight) seen(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.last.IsZero() && now.Sub(s.last) > silentAfter/2 { // it beats every 5 seconds
		s.since = now
	}
	if now.After(s.last) {
		s.last = now
	}
}

// start is when the last gap that this process saw was over; zero if it saw none.
func (s *sight) start() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.since
}

func beat(ctx context.Context, q querier, worker int64, now time.Time) error {
	n, err := q.exec(ctx, qWorkerBeat, worker, toMs(now))
	if err == nil && n == 0 {
		err = fmt.Errorf("worker %d: %w", worker, zonewire.ErrNotFound)
	}
	return err
}

// StopWorker gives back what a worker holds and ends it.
func (db *DB) StopWorker(ctx context.Context, worker int64, now time.Time) error {
	err := db.transact(ctx, "stop worker", free, func(q querier) error {
		if err := beat(ctx, q, worker, now); err != nil {
			return err
		}
		if err := db.bury(ctx, q, worker, now); err != nil {
			return err
		}
		_, err := q.exec(ctx, qWorkerStop, worker, toMs(now))
		return err
	})
	if err == nil {
		err = db.remember(now)
	}
	return err
}

// Release gives back the rows that a worker claimed and did not begin.
func (db *DB) Release(ctx context.Context, worker int64, now time.Time) (released int, err error) {
	err = db.transact(ctx, "release", free, func(q querier) error {
		released = 0
		for _, text := range giveBack {
			n, err := q.exec(ctx, text, worker, toMs(now))
			if err != nil {
				return err
			}
			released += int(n)
		}
		return nil
	})
	return released, err
}

// reap takes over the rows of workers that are gone.
func (db *DB) reap(ctx context.Context, q querier, me int64, now time.Time) error {
	gone, err := db.goneWorkers(ctx, q, me, now)
	if err != nil {
		return err
	}
	for _, w := range gone {
		n, err := q.exec(ctx, qWorkerGone, w.id, toMs(now), w.beat)
		if err != nil {
			return err
		}
		if n == 0 {
			continue // it has beaten at this moment, or another has taken over from it
		}
		if err := db.bury(ctx, q, w.id, now); err != nil {
			return err
		}
	}
	return nil
}

type workerRow struct {
	id, pid, beat int64
	host, start   string
}

func scanWorker(rows *sql.Rows) (workerRow, error) {
	var w workerRow
	err := rows.Scan(&w.id, &w.host, &w.pid, &w.start, &w.beat)
	return w, err
}

// ended reports whether its process is known to be gone: one of this machine needs no time to be silent.
func (w workerRow) ended() bool { return w.host == thisHost() && processStart(int(w.pid)) != w.start }

// goneWorkers lists the workers besides me that have not signed off and will not answer for their rows.
func (db *DB) goneWorkers(ctx context.Context, q querier, me int64, now time.Time) ([]workerRow, error) {
	alive, err := collect(ctx, q, qWorkersAlive, []any{me}, scanWorker)
	if err != nil {
		return nil, err
	}
	db.sight.seen(now)
	since := db.sight.start()
	return slices.DeleteFunc(alive, func(w workerRow) bool {
		silent := now.Sub(fromMs(w.beat)) >= silentAfter && now.Sub(since) >= silentAfter
		return !w.ended() && !silent
	}), nil
}

// bury settles the rows of a worker that will not answer for them. What was not begun is simply open again; of what
// was begun nobody knows: it is sent once more, or held, by the policy.
func (db *DB) bury(ctx context.Context, q querier, worker int64, now time.Time) error {
	for kind := range giveBack {
		if _, err := q.exec(ctx, giveBack[kind], worker, toMs(now)); err != nil {
			return err
		}
		if db.uncertain != zonewire.Hold {
			if _, err := q.exec(ctx, lostAgain[kind], worker, toMs(now), int64(zonewire.MaxLosses)); err != nil {
				return err
			}
		}
		if _, err := q.exec(ctx, lostForGood[kind], worker, toMs(now)); err != nil {
			return err
		}
	}
	return nil
}

// thisHost names the machine and its process numbers: two containers may share a file and not their pids.
func thisHost() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "" // no such machine: only the heartbeat tells
	}
	pids, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(boot)) + " " + pids
}

// processStart tells two processes with one number apart; "gone" if there is none.
func processStart(pid int) string {
	if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
		return "gone"
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The name in parentheses may hold spaces; the start time is the 20th field behind it, the state the first.
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 20 {
		return ""
	}
	if fields[0] == "Z" { // ended, and nobody has asked for its exit code yet
		return "gone"
	}
	return fields[19]
}

// newClaim is a number that no other claim has: only the database compares it.
func newClaim() int64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails
	return int64(binary.LittleEndian.Uint64(b[:])>>1) | 1
}
