package main

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"zonewire/internal/pgtest"
	"zonewire/internal/smtptest"
)

// The database goes away in the middle of a send, and comes back. Meanwhile the daemon serves the feeds that it has, says that
// it is not ready, and sends nothing that it cannot record; what was with the mail server is recorded afterwards, and not sent
// twice. It goes on by itself.
func TestTheDatabaseIsLostInTheMiddleOfASend(t *testing.T) {
	for _, c := range []struct {
		name       string
		lose, find func(*pgtest.Line)
		rate       int // mails a second: the senders wait before each mail. 0: the mail server makes them wait at its end
	}{
		{"its connections are cut while mails are under way", (*pgtest.Line).Cut, (*pgtest.Line).Heal, 0},
		{"its connections are cut before mails begin", (*pgtest.Line).Cut, (*pgtest.Line).Heal, 30},
		{"it answers nothing any more", (*pgtest.Line).Hang, (*pgtest.Line).Resume, 30},
		{"it answers nothing any more, and is another one then", (*pgtest.Line).Hang, func(l *pgtest.Line) {
			l.Drop()
			l.Resume()
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			const readers, connections, some = 300, 5, 100
			brake := newBrake()
			srv := smtptest.New(t, smtptest.Options{Script: brake.script})
			t.Cleanup(func() { brake.allow(math.MaxInt) }) // or the server cannot end
			line := pgtest.Proxy(t, pgtest.Database(t))
			s := newPostgresSite(t, line.DSN(), append(smtpEnv(srv),
				fmt.Sprintf("ZONEWIRE_MAIL_CONNECTIONS=%d", connections), fmt.Sprintf("ZONEWIRE_MAIL_RATE=%d", c.rate))...)
			s.fill(readers)
			r := s.replica("daemon")
			s.within(time.Minute, "a ready daemon", r.ready)
			if brake.allow(some); c.rate > 0 {
				brake.allow(readers)
			}
			paths := []string{"/feed.atom", "/zones/hubin/feed.rss", "/zones/hubin/feed.json"}
			var kept []answered
			s.within(time.Minute, "the article in the feeds", func() bool {
				kept = r.getAll(paths)
				for _, p := range kept {
					if p.status != http.StatusOK || !strings.Contains(p.body, "湖滨开发区新项目开工") {
						return false
					}
				}
				return true
			})
			s.within(time.Minute, "some of the mails", func() bool { return len(srv.Mails()) >= some })

			c.lose(line)
			underWay := len(srv.Mails()) + connections
			brake.allow(readers)
			s.within(10*time.Second, "a daemon that says that it is not ready", func() bool { return !r.ready() })
			if p := r.get("/readyz"); p.status != http.StatusServiceUnavailable || !strings.Contains(p.body, "database") {
				t.Errorf("/readyz: %d %q", p.status, p.body)
			}
			atOnce := len(srv.Mails())
			for _, path := range []string{"/", "/zones/hubin", "/api/v1/articles"} {
				p := r.get(path, "Authorization", "Bearer zw_1_abc")
				if p.status != http.StatusServiceUnavailable || p.header.Get("Retry-After") == "" {
					t.Errorf("%s: %d, Retry-After %q\n%s", path, p.status, p.header.Get("Retry-After"), p.body)
				}
				if html := strings.HasPrefix(p.header.Get("Content-Type"), "text/html"); html == strings.HasPrefix(path, "/api/") {
					t.Errorf("%s says so in %s", path, p.header.Get("Content-Type"))
				}
			}
			s.within(time.Minute, "an outbox that has waited for the database in vain", func() bool { return strings.Contains(r.saidAll(), "outbox waits for the database") })
			time.Sleep(8 * time.Second) // the store tries by itself for 5: a mail that is sent all the same is seen then
			for i, path := range paths {
				now := r.get(path)
				if now.status != http.StatusOK || now.body != kept[i].body || now.header.Get("ETag") != kept[i].header.Get("ETag") {
					t.Errorf("%s: %d %s, want 200 %s and the same bytes", path, now.status, now.header.Get("ETag"), kept[i].header.Get("ETag"))
				}
				if now := r.get(path, "If-None-Match", kept[i].header.Get("ETag")); now.status != http.StatusNotModified {
					t.Errorf("%s to a reader that has it: %d", path, now.status)
				}
			}
			t.Logf("%d mails when the database was lost, %d after a while", underWay-connections, len(srv.Mails()))
			if n := len(srv.Mails()); n != atOnce || n > underWay {
				t.Errorf("%d mails were sent, and %d soon after the database was lost; what was under way then were %d at most", n, atOnce, underWay)
			}

			c.find(line)
			s.within(30*time.Second, "a daemon that is ready again", r.ready)
			s.within(time.Minute, "everybody's mail", func() bool { return s.counts()["accepted"] == readers })
			everybodyHasIt(t, srv, readers, 0)
			for _, over := range []string{"outbox goes on", "feeds follow the store again", "ready again"} {
				s.within(20*time.Second, "a log that says: "+over, func() bool { return strings.Contains(r.saidAll(), over) })
			}
			log := r.saidAll()
			if n := strings.Count(log, "level=ERROR") + strings.Count(log, "level=WARN"); n > 12 {
				t.Errorf("the log complains %d times:\n%s", n, log)
			}
		})
	}
}

// Connections are lost at every step of a send, each before, while and after the server does what it is asked. Everybody has the
// mail once.
func TestConnectionsAreLostAtEveryStepOfASend(t *testing.T) {
	const readers, connections = 400, 5
	srv := smtptest.New(t, smtptest.Options{})
	line := pgtest.Proxy(t, pgtest.Database(t))
	s := newPostgresSite(t, line.DSN(), append(smtpEnv(srv),
		fmt.Sprintf("ZONEWIRE_MAIL_CONNECTIONS=%d", connections), "ZONEWIRE_MAIL_RATE=20")...)
	s.fill(readers)
	s.replica("daemon")
	cut := func(step pgtest.Trap) {
		for _, step.At = range []pgtest.Moment{pgtest.Before, pgtest.During, pgtest.After} {
			trap := line.Set(step)
			s.within(20*time.Second, fmt.Sprintf("a cut %s %s%s", step.At, step.Text, step.Of), func() bool {
				select {
				case <-trap.Sprung:
					return true
				default:
					return false
				}
			})
		}
	}
	cut(pgtest.Trap{Of: "set state = 1"})            // mails are claimed
	cut(pgtest.Trap{Text: "set began_ms = $3"})      // a mail begins
	cut(pgtest.Trap{Text: "set state = $3, reason"}) // a mail is finished
	if n := len(srv.Mails()); n == readers {
		t.Error("the cuts came too late: everything was sent before the last")
	}
	cut(pgtest.Trap{Text: "set beat_ms = $2, stopped"}) // the sender says that it lives
	s.within(time.Minute, "everybody's mail", func() bool { return s.counts()["accepted"] == readers })
	everybodyHasIt(t, srv, readers, 0)
}

// saidAll is a daemon's log.
func (r *replica) saidAll() string {
	r.s.t.Helper()
	log, err := os.ReadFile(r.log)
	if err != nil {
		r.s.t.Fatal(err)
	}
	return string(log)
}

// answered is what a daemon answers to a GET.
type answered struct {
	status int
	header http.Header
	body   string
}

func (r *replica) get(path string, headers ...string) answered {
	r.s.t.Helper()
	req, err := http.NewRequestWithContext(r.s.t.Context(), http.MethodGet, "http://"+r.addr+path, nil)
	if err != nil {
		r.s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := http.Client{Timeout: 30 * time.Second} // the API's wait is the longest
	res, err := client.Do(req)
	if err != nil {
		r.s.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		r.s.t.Fatal(err)
	}
	return answered{res.StatusCode, res.Header, string(body)}
}

func (r *replica) getAll(paths []string) []answered {
	r.s.t.Helper()
	all := make([]answered, len(paths))
	for i, path := range paths {
		all[i] = r.get(path)
	}
	return all
}
