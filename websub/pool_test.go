package websub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"zonewire/internal/trouble"
)

func TestAPoolHoldsNoMoreThanItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		claimed, released := 0, 0
		p := newPool(trouble.New(slog.New(slog.DiscardHandler), "", ""), 3, func(_ context.Context, _, until time.Time, limit int) ([]task, error) {
			tasks := make([]task, limit)
			for i := range tasks {
				claimed++
				tasks[i] = task{
					host: fmt.Sprint(claimed), until: until,
					send:    func(ctx context.Context) health { <-ctx.Done(); return silent },
					release: func(context.Context) error { released++; return nil },
				}
			}
			return tasks, nil
		}, slog.New(slog.DiscardHandler), time.Now)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		done := make(chan struct{})
		go func() {
			defer close(done)
			p.run(ctx)
		}()
		synctest.Wait()
		if n := p.held.Load(); n > maxHeld || n < maxHeld-batch {
			t.Errorf("%d at hand, want nearly %d", n, maxHeld)
		}
		<-done
		if claimed > maxHeld+3 || released != claimed-3 {
			t.Errorf("%d were claimed and %d given back, want all but the 3 that were begun", claimed, released)
		}
	})
}

func TestAPoolThatCannotClaimSaysSoOnceAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		tries := 0
		logger := slog.New(slog.NewTextHandler(&log, nil))
		p := newPool(trouble.New(logger, "nothing can be done", "it is done again"), 3, func(context.Context, time.Time, time.Time, int) ([]task, error) {
			if tries++; tries > 10 {
				return nil, nil
			}
			return nil, errors.New("disk full")
		}, logger, time.Now)
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
		defer cancel()
		p.run(ctx)
		if begun, over := strings.Count(log.String(), "nothing can be done"), strings.Count(log.String(), "it is done again"); begun != 1 || over != 1 || tries < 14 || tries > 16 {
			t.Errorf("said %d times in %d tries and that it is over %d times, want once each in 15", begun, tries, over)
		}
	})
}
