package poll

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"zonewire"
	"zonewire/ingest"
)

const maxArticles = 500 // of one visit

// look is one visit under way.
type look struct {
	asker
	readers readers
	store   Visits // nil for a trial
	visit   zonewire.Visit
	forced  bool // an operator asked: timers do not count

	begun  time.Time
	pace   pace
	robots map[string]zonewire.HostMemory // by host
	notes  []string
	poll   zonewire.Poll
}

func (p *Poller) newLook(ctx context.Context, v zonewire.Visit, forced bool) *look {
	now, s := time.Now(), v.Source
	return &look{
		asker: p.asker(ctx), readers: p.readers, store: p.store, visit: v, forced: forced,
		begun: now, pace: pace{gap: minGap}, robots: map[string]zonewire.HostMemory{v.Host.Host: v.Host},
		poll: zonewire.Poll{
			Log: zonewire.PollLog{At: now}, State: s.State, Reason: s.Reason, Next: s.Next, Memory: s.Memory, Sub: s.Sub, Host: v.Host,
		},
	}
}

// look asks the source and fills the poll. The error is the context's, the store's, or a panic's, in that case of a
// reader that hostile bytes broke.
func (w *look) look(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the program failed on what it read: %v\n%s", r, debug.Stack())
		}
	}()
	if w.visit.Source.Kind == zonewire.PageSource {
		err = w.pages(ctx)
	} else {
		err = w.feed(ctx)
	}
	if err != nil {
		return err
	}
	w.close()
	return nil
}

// close fills what every poll says at its end.
func (w *look) close() {
	w.poll.Log.Took = time.Since(w.begun)
	w.poll.Log.Note = zonewire.Shorten(strings.Join(w.notes, "; "), 500)
	host := w.robots[w.visit.Host.Host]
	host.Host, host.Until = w.visit.Host.Host, latest(w.poll.Host.Until, w.pace.next())
	w.poll.Host = host
}

// breakOff makes the poll one that failed by our own fault: nothing is taken from it, and the source is not asked for the same
// at once.
func (w *look) breakOff(err error) {
	why, _, _ := strings.Cut(err.Error(), "\n")
	old := w.visit.Source
	status := w.poll.Log.Status
	w.poll = zonewire.Poll{
		Log: zonewire.PollLog{At: w.begun, Status: status}, Sub: old.Sub, Memory: old.Memory, Host: w.poll.Host,
	}
	w.notes = []string{why}
	now := time.Now()
	v := verdict{class: failed, reason: zonewire.Shorten(why, 300)}
	w.poll.Memory.Polled = now
	if status == http.StatusOK { // it has sent the whole, for all we know
		w.poll.Memory.Whole = now
	}
	w.settle(v, timing{recent: w.visit.Recent, now: now})
	w.close()
}

// feed visits a feed.
func (w *look) feed(ctx context.Context) error {
	src, err := w.ask(ctx, acceptFeed, nil)
	if err != nil {
		return err
	}
	switch {
	case src.verdict.class != usable:
		w.settle(src.verdict, src.timing)
		return nil
	case !src.news:
		w.accept(src)
		w.settle(src.verdict, src.timing)
		return nil
	}
	s := w.visit.Source
	doc, err := w.readers.feed(src.answer.body, ingest.Options{
		Now: src.now, Zone: s.Zone, URL: src.answer.final, HTTPCharset: charsetOf(src.answer.header), Charset: s.Charset,
	})
	if err != nil {
		w.settle(verdict{class: failed, reason: "what it sends is no feed that can be read: " + oneLine(err)}, src.timing)
		return nil
	}
	fresh := w.take(doc.Items, src.now)
	if doc.Left > 0 {
		w.note("%d items past the first %d are left out", doc.Left, len(doc.Items))
	}
	w.poll.Log.Items = len(doc.Items) + doc.Left
	if s.Title == "" {
		w.poll.Title = zonewire.Shorten(doc.Title, 200)
	}
	w.poll.Sub = subscribed(s.Sub, src.answer, doc, src.now)
	w.accept(src)
	w.poll.Memory.Hints = writeHints(doc.Hints)
	src.timing.recent = max(w.visit.Recent, fresh)
	w.settle(src.verdict, src.timing)
	return nil
}

// take adds what was read to the poll, and counts what was published in the last seven days.
func (w *look) take(records []ingest.Record, now time.Time) (fresh int) {
	var first error
	for _, r := range records {
		switch {
		case r.Err != nil:
			w.poll.Log.Rejected++
			if first == nil {
				first = r.Err
			}
		case len(w.poll.Articles) < maxArticles:
			w.poll.Articles = append(w.poll.Articles, r.Article)
			if !r.Article.Suspect && now.Sub(r.Article.Published) < week {
				fresh++
			}
		}
	}
	if first != nil {
		w.note("%d cannot be used, the first since %s", w.poll.Log.Rejected, oneLine(first))
	}
	return fresh
}

// asked is what the source's own address answered.
type asked struct {
	answer  answer
	verdict verdict
	failure error // why there is no answer, or half of one
	timing  timing
	now     time.Time
	news    bool // there is a body that was not read before
}

// ask makes the one request for the source's own address. The error is that the visit must end here.
func (w *look) ask(ctx context.Context, accept string, allow func(*url.URL) error) (a asked, err error) {
	s := w.visit.Source
	if err := w.pace.wait(ctx); err != nil {
		return a, err
	}
	ans, failure := w.get(ctx, request{url: s.URL, accept: accept, limit: maxBody, allow: allow, conditions: func(address string) (string, string) {
		if !conditional(s, address) {
			return "", ""
		}
		return s.Memory.ETag, s.Memory.LastModified
	}})
	w.pace.mark()
	if ctx.Err() != nil {
		return a, ctx.Err()
	}
	now := time.Now()
	m := &w.poll.Memory
	m.Polled = now
	if ans.status == http.StatusOK && !ans.conditional {
		m.Whole = now
	}
	w.poll.Log.Status = ans.status
	w.poll.Log.Bytes += int64(len(ans.body))
	a = asked{answer: ans, verdict: judge(ans, failure, now), failure: failure, now: now}
	a.news = ans.status == http.StatusOK && (ans.hash() != m.BodyHash || m.Parser != ingest.ParserVersion)
	a.timing = timing{
		recent: w.visit.Recent, now: now, fresh: freshFor(ans.header, now),
		// The address behind the redirects is another one than last time, and may be so each time.
		whole: m.Parser == ingest.ParserVersion && hasValidators(*m) && !ans.conditional,
	}
	w.quiet(a.verdict, now)
	return a, nil
}

// accept remembers an answer that could be used: where it came from and, if it brought the whole, its validators.
func (w *look) accept(a asked) {
	m, ans := &w.poll.Memory, a.answer
	*m, w.poll.URL = move(*m, ans)
	if ans.status != http.StatusOK {
		return
	}
	m.ETag, m.LastModified = validator(ans.header.Get("ETag")), validator(ans.header.Get("Last-Modified"))
	if a.news {
		m.BodyHash, m.Parser, m.Changed = ans.hash(), ingest.ParserVersion, a.now
	}
}

// quiet keeps off a host that asks to be left alone.
func (w *look) quiet(v verdict, now time.Time) {
	if v.retry > 0 && oneSite(w.visit.Host.Host) {
		w.poll.Host.Until = latest(w.poll.Host.Until, now.Add(v.retry))
	}
}

// settle fills in the state and the next time.
func (w *look) settle(v verdict, t timing) {
	s := w.visit.Source
	s.Memory, s.Sub = w.poll.Memory, w.poll.Sub
	s.State, s.Reason, s.Memory = settle(s, v, t.now)
	w.poll.State, w.poll.Reason, w.poll.Memory = s.State, s.Reason, s.Memory
	if v.reason != "" {
		w.notes = slices.Insert(w.notes, 0, v.reason)
	}
	t.source, t.verdict = s, v
	t.whole = t.whole || !hasValidators(s.Memory)
	w.poll.Next = next(t)
}

func (w *look) note(format string, args ...any) {
	w.notes = append(w.notes, fmt.Sprintf(format, args...))
}

// oneLine is an error's message without line ends.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// pace keeps the time between two requests to a host.
type pace struct {
	gap  time.Duration
	last time.Time
}

// wait waits until the next request may be made.
func (p *pace) wait(ctx context.Context) error { return sleep(ctx, time.Until(p.next())) }

func (p *pace) mark() { p.last = time.Now() }

// next is when the host may be asked again.
func (p *pace) next() time.Time {
	if p.last.IsZero() {
		return p.last
	}
	return p.last.Add(p.gap)
}
