package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// gate stands between the senders and the transport. While the server answers, everyone dials as they please. Once it
// does not, one dials at a time, further and further apart, and the others wait for what comes of it.
type gate struct {
	transport Transport
	log       *slog.Logger
	patience  int // failures in a row, with no connection open, after which dial gives up; 0 = never

	turn chan struct{} // holds one token while nobody dials for all

	mu       sync.Mutex
	failures int       // in a row
	until    time.Time // not before
	open     int       // connections given out and not returned
}

// Waits between failed dials double from the first to the last.
const (
	firstDialWait = 2 * time.Second
	lastDialWait  = time.Minute
)

func newGate(t Transport, patience int, log *slog.Logger) *gate {
	g := &gate{transport: t, log: log, patience: patience, turn: make(chan struct{}, 1)}
	g.turn <- struct{}{}
	return g
}

// dial gives a connection, to be returned with done. It fails when ctx ends, or with the transport's last error when
// its patience does.
func (g *gate) dial(ctx context.Context) (Conn, error) {
	for {
		conn, err := g.once(ctx)
		if conn != nil || err != nil {
			return conn, err
		}
	}
}

// once dials once, for all if there is trouble. Neither a connection nor an error means: again.
func (g *gate) once(ctx context.Context) (Conn, error) {
	g.mu.Lock()
	trouble := g.failures > 0
	g.mu.Unlock()
	if trouble {
		select {
		case <-g.turn:
			defer func() { g.turn <- struct{}{} }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		g.mu.Lock()
		wait := time.Until(g.until)
		g.mu.Unlock()
		if err := sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
	conn, err := g.transport.Dial(ctx)
	return conn, g.judge(ctx, trouble, err)
}

// judge counts the result of a dial, and gives an error if dialling should end. Of many that failed together while all
// seemed well, only the first counts.
func (g *gate) judge(ctx context.Context, trouble bool, err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case err == nil:
		if trouble && g.failures > 0 {
			g.log.Info("mail server answers again", "failures", g.failures)
			g.failures = 0
		}
		g.open++
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case !trouble && g.failures > 0:
		return nil
	}
	g.failures++
	if g.patience > 0 && g.failures >= g.patience && g.open == 0 {
		return fmt.Errorf("%w (tried %d times)", err, g.failures)
	}
	wait := min(firstDialWait<<min(g.failures-1, 10), lastDialWait)
	g.until = time.Now().Add(wait)
	g.log.Warn("no connection for mail", "err", err, "again_in", wait)
	return nil
}

// done closes a connection that dial gave.
func (g *gate) done(c Conn) {
	if err := c.Close(); err != nil {
		g.log.Debug("close mail connection", "err", err)
	}
	g.mu.Lock()
	g.open--
	g.mu.Unlock()
}

// sleep waits, or fails when ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
