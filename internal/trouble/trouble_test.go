package trouble_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"zonewire"
	"zonewire/internal/trouble"
)

// logged gives what was said, a word a line.
func logged(do func(*trouble.Trouble)) string {
	var log bytes.Buffer
	h := slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key != slog.MessageKey {
			return slog.Attr{}
		}
		return a
	}})
	do(trouble.New(slog.New(h), "begins", "over"))
	return strings.ReplaceAll(strings.TrimSpace(strings.ReplaceAll(log.String(), "msg=", "")), "\n", " ")
}

func TestATroubleIsSaidWhenItBeginsAndWhenItIsOver(t *testing.T) {
	away := func(n int) error { return fmt.Errorf("port %d: %w", n, zonewire.ErrUnavailable) }
	for _, c := range []struct {
		name string
		do   func(*trouble.Trouble)
		want string
	}{
		{"nothing fails", func(t *trouble.Trouble) { t.Is(nil) }, ""},
		{"it fails for a while", func(t *trouble.Trouble) { t.Is(away(1)); t.Is(away(2)); t.Is(nil); t.Is(nil) }, "begins over"},
		{"it fails twice", func(t *trouble.Trouble) { t.Is(away(1)); t.Is(nil); t.Is(away(1)) }, "begins over begins"},
		{"it fails otherwise", func(t *trouble.Trouble) { t.Is(errors.New("a")); t.Is(errors.New("b")) }, "begins"},
		{"it fails otherwise once the database is back", func(t *trouble.Trouble) { t.Is(away(1)); t.Is(errors.New("a")) }, "begins begins"},
		{"many wait", func(t *trouble.Trouble) { t.Wait(away(1)); t.Wait(away(2)); t.Done(); t.Done() }, "begins over"},
		{"it lasts", func(t *trouble.Trouble) {
			for range 30 {
				t.Is(away(1))
				time.Sleep(time.Minute)
			}
			t.Is(nil)
		}, "begins begins begins over"},
	} {
		synctest.Test(t, func(t *testing.T) {
			if got := logged(c.do); got != c.want {
				t.Errorf("%s: logged %q, want %q", c.name, got, c.want)
			}
		})
	}
}

func TestWhatIsSaidSeldom(t *testing.T) {
	var s trouble.Seldom
	now := time.Unix(1_800_000_000, 0)
	for i, c := range []struct {
		what string
		at   time.Duration
		want bool
	}{{"a", 0, true}, {"a", time.Minute, false}, {"b", time.Minute, true}, {"a", 11 * time.Minute, true}} {
		if got := s.Say(c.what, now.Add(c.at)); got != c.want {
			t.Errorf("step %d: %t", i, got)
		}
	}
	away := fmt.Errorf("page: %w", zonewire.ErrUnavailable)
	if !s.Fails("c", away, now) || s.Fails("d", away, now) {
		t.Error("a database that is away is not said once")
	}
	if !s.Fails("c", errors.New("else"), now) {
		t.Error("what fails otherwise is not said")
	}
}
