package poll

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"zonewire"
	"zonewire/ingest"
)

const (
	firstLists = 3   // list pages read at the first visit; later one
	maxPages   = 20  // article pages of one visit
	maxSeen    = 500 // new links of one visit
	maxTries   = 5   // of one article page
	queueEvery = 10 * time.Minute
	inARow     = 3 // pages that fail in a row end the visit
)

// pages visits a list page and the article pages that wait.
func (w *look) pages(ctx context.Context) error {
	s := w.visit.Source
	goOn := true
	if w.forced || !w.begun.Before(s.Memory.ListAt) {
		var err error
		if goOn, err = w.list(ctx); err != nil {
			return err
		}
		w.poll.Memory.ListAt = w.poll.Next
	}
	w.poll.Next = w.poll.Memory.ListAt
	if !goOn {
		return nil
	}
	more, err := w.queue(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	if more {
		w.poll.Next = earlier(w.poll.Next, now.Add(queueEvery))
	}
	for _, q := range w.poll.Tried {
		if !q.Done {
			w.poll.Next = earlier(w.poll.Next, latest(q.Next, now.Add(queueEvery)))
		}
	}
	w.poll.Next = latest(w.poll.Next, w.poll.Host.Until)
	return nil
}

// list asks for the list and puts the links that nobody knows into the queue. It reports whether article pages may be asked
// for: not if the host is in trouble.
func (w *look) list(ctx context.Context) (goOn bool, err error) {
	s := w.visit.Source
	address, err := url.Parse(s.URL)
	if err != nil {
		w.settle(verdict{class: failed, reason: "its address cannot be read"}, timing{now: w.begun})
		return false, nil
	}
	if err := w.allow(ctx, address); err != nil {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		w.poll.Memory.Polled = time.Now()
		w.settle(judge(answer{}, err, w.begun), timing{recent: w.visit.Recent, now: time.Now()})
		return false, nil
	}
	src, err := w.ask(ctx, acceptPage, func(u *url.URL) error { return w.allow(ctx, u) })
	if err != nil {
		return false, err
	}
	switch {
	case src.verdict.class != usable:
		w.settle(src.verdict, src.timing)
		return src.verdict.class == missing || src.verdict.class == gone, nil
	case !src.news:
		w.accept(src)
		w.settle(src.verdict, src.timing)
		return true, nil
	}
	doc, err := w.readList(src.answer)
	if err != nil {
		v := verdict{class: failed, reason: "it cannot be read as a list: " + oneLine(err)}
		if errors.Is(err, ingest.ErrWantsBrowser) {
			v = verdict{class: blocked, reason: oneLine(err) + "; " + onlyBrowsers}
		}
		w.settle(v, src.timing)
		return true, nil
	}
	if err := w.follow(ctx, src.answer, doc); err != nil {
		return false, err
	}
	if s.Title == "" {
		w.poll.Title = zonewire.Shorten(doc.Title, 200)
	}
	w.accept(src)
	src.timing.recent += len(w.poll.Seen)
	w.settle(src.verdict, src.timing)
	return true, nil
}

// readList reads a list page. One without links is an error: its selector is wrong, or a script makes them.
func (w *look) readList(a answer) (ingest.ListDoc, error) {
	doc, err := w.readers.list(a.body, w.options(a))
	if err == nil && len(doc.Entries) == 0 {
		err = zonewire.Invalidf("no list of articles is in it; name one by its --list-selector, or look for a feed")
	}
	return doc, err
}

func (w *look) options(a answer) ingest.Options {
	s := w.visit.Source
	return ingest.Options{
		Now: time.Now(), Zone: s.Zone, URL: a.final, HTTPCharset: charsetOf(a.header), Charset: s.Charset, Selectors: s.Selectors,
	}
}

// follow collects the unknown links of a list and of its next pages, up to the first page that is wholly known.
func (w *look) follow(ctx context.Context, first answer, doc ingest.ListDoc) error {
	lists := 1
	if w.visit.Source.Memory.Succeeded.IsZero() {
		lists = firstLists
	}
	own, elsewhere := first.final, 0
	read := map[string]bool{first.final: true}
	for {
		w.poll.Log.Items += len(doc.Entries)
		unknown, other, err := w.unknown(ctx, own, doc.Entries)
		if err != nil {
			return err
		}
		w.poll.Seen = append(w.poll.Seen, unknown...)
		elsewhere += other
		if lists--; lists == 0 || len(unknown) == 0 || len(w.poll.Seen) >= maxSeen || doc.Next == "" || read[doc.Next] {
			break
		}
		read[doc.Next] = true
		if err := w.keep(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		var reason string
		if doc, reason = w.nextList(ctx, own, doc.Next); reason != "" {
			w.note("the list's next page: %s", reason)
			break
		}
	}
	if elsewhere > 0 {
		w.note("%d links lead to other sites and are not followed", elsewhere)
	}
	w.poll.Seen = w.poll.Seen[:min(len(w.poll.Seen), maxSeen)]
	return nil
}

// nextList reads a further page of a list; reason says why it could not.
func (w *look) nextList(ctx context.Context, own, address string) (doc ingest.ListDoc, reason string) {
	ans, v := w.page(ctx, own, address)
	if v.class != usable {
		return doc, v.reason
	}
	doc, err := w.readList(ans)
	if err != nil {
		return doc, oneLine(err)
	}
	return doc, ""
}

// unknown gives the links of a list that are new, as they stand there, and counts those to other sites.
func (w *look) unknown(ctx context.Context, own string, entries []ingest.Entry) (pages []zonewire.QueuedPage, elsewhere int, err error) {
	byCanon := map[string]ingest.Entry{}
	var canons []string
	for _, e := range entries {
		_, twice := byCanon[e.Canon]
		switch {
		case !sameSite(e.URL, own) && !sameSite(e.URL, w.visit.Source.URL):
			elsewhere++
		case e.Canon != "" && !twice && !slices.ContainsFunc(w.poll.Seen, func(q zonewire.QueuedPage) bool { return q.Canon == e.Canon }):
			byCanon[e.Canon] = e
			canons = append(canons, e.Canon)
		}
	}
	if w.store != nil {
		if canons, err = w.store.UnknownPages(ctx, w.visit.Source.ID, canons); err != nil {
			return nil, 0, err
		}
	}
	for _, canon := range canons {
		e := byCanon[canon]
		pages = append(pages, zonewire.QueuedPage{URL: e.URL, Canon: canon, Title: e.Title, Date: e.Date, Seen: w.begun})
	}
	return pages, elsewhere, nil
}

// sameSite reports whether two addresses are of one host. That portals answer with and without www. does not count.
func sameSite(a, b string) bool {
	a, b = strings.TrimPrefix(zonewire.HostOf(a), "www."), strings.TrimPrefix(zonewire.HostOf(b), "www.")
	return a != "" && a == b
}

// allow reports, by an [errClosed] or an [errRobots], why an address may not be asked.
func (w *look) allow(ctx context.Context, u *url.URL) error {
	host := zonewire.HostOf(u.String())
	h, now := w.robots[host], time.Now()
	if !current(h, now) {
		if err := w.pace.wait(ctx); err != nil {
			return err
		}
		asked, err := w.fetchRobots(ctx, u, now)
		w.pace.mark()
		if err != nil {
			return err
		}
		h = asked
		w.robots[host] = h
	}
	rules := readRobots(h.Status, h.Robots)
	w.pace.gap = max(w.pace.gap, rules.gap())
	if !rules.allows(u) {
		return errClosed{"its robots.txt closes " + u.EscapedPath() + " to programs; ask the publisher for a feed, or to push to the API"}
	}
	return nil
}

// page asks for a page of the source's own site.
func (w *look) page(ctx context.Context, own, address string) (answer, verdict) {
	allow := func(u *url.URL) error {
		if !sameSite(u.String(), own) && !sameSite(u.String(), w.visit.Source.URL) {
			return errClosed{"it leads to another site"}
		}
		return w.allow(ctx, u)
	}
	u, err := url.Parse(address)
	if err == nil {
		err = allow(u)
	}
	if err == nil {
		err = w.pace.wait(ctx)
	}
	if err != nil {
		return answer{}, judge(answer{}, err, time.Now())
	}
	ans, err := w.get(ctx, request{url: address, accept: acceptPage, limit: maxBody, allow: allow})
	w.pace.mark()
	now := time.Now()
	w.poll.Memory.Polled = now
	w.poll.Log.Bytes += int64(len(ans.body))
	if w.poll.Log.Status == 0 {
		w.poll.Log.Status = ans.status
	}
	v := judge(ans, err, now)
	w.quiet(v, now)
	return ans, v
}

// queue reads article pages, the longest seen first. It reports whether some are left that could be read now. When ctx ends, what
// was read stays.
func (w *look) queue(ctx context.Context) (more bool, err error) {
	waiting := slices.Clone(w.visit.Queue)
	for _, q := range slices.Backward(w.poll.Seen) { // a list begins with the newest
		waiting = append(waiting, q)
	}
	row, done := 0, 0
	for _, q := range waiting[:min(len(waiting), maxPages)] {
		if row == inARow || w.poll.Host.Until.After(time.Now()) {
			break
		}
		if err := w.keep(ctx); err != nil {
			if ctx.Err() != nil {
				break
			}
			return false, err
		}
		tried, r := w.read(ctx, q)
		if ctx.Err() != nil {
			break
		}
		done++
		if tried.Error == "" {
			w.poll.Articles = append(w.poll.Articles, r.Article)
		} else {
			w.poll.Log.Rejected++
		}
		w.poll.Tried = append(w.poll.Tried, tried)
		if row++; tried.Error == "" {
			row = 0
		}
	}
	if n := slices.IndexFunc(w.poll.Tried, func(q zonewire.QueuedPage) bool { return q.Error != "" }); n >= 0 {
		w.note("some pages could not be read, the first since %s", w.poll.Tried[n].Error)
	}
	// The visit is handed a part of the queue only. Where nothing can be read, none is in a hurry.
	more = row < inARow && (done < len(waiting) || len(w.visit.Queue) >= maxPages && w.visit.Queued > len(w.visit.Queue))
	return more, nil
}

func (w *look) keep(ctx context.Context) error {
	if w.store == nil {
		return nil
	}
	return w.store.KeepSource(ctx, w.visit, time.Now().Add(claimFor))
}

// read reads one article page: how it went, and what came of it.
func (w *look) read(ctx context.Context, q zonewire.QueuedPage) (tried zonewire.QueuedPage, r ingest.Record) {
	ans, v := w.page(ctx, q.URL, q.URL)
	if v.class == usable {
		if r = w.readPage(ans, q); r.Err == nil {
			q.Tries, q.Done, q.Error = q.Tries+1, true, ""
			return q, r
		}
		v = verdict{class: failed, reason: oneLine(r.Err)}
	}
	r.Err = zonewire.Invalidf("%s", v.reason)
	return notRead(q, v, time.Now()), r
}

// readPage reads the article of a page. Its address stays as the list gives it; that of the answer is what relative links
// are relative to. A page that breaks the program costs only itself: it must not be the first in the queue for ever.
func (w *look) readPage(a answer, q zonewire.QueuedPage) (r ingest.Record) {
	defer func() {
		if broken := recover(); broken != nil {
			r.Err = fmt.Errorf("the program failed on it: %v", broken)
		}
	}()
	opts := w.options(a)
	opts.Listed = ingest.Entry{URL: q.URL, Canon: q.Canon, Title: q.Title, Date: q.Date}
	r = w.readers.page(a.body, opts)
	if r.Err == nil && a.final != q.URL {
		r.Article.URL = q.URL
		ingest.Identify(&r.Article)
	}
	return r
}

// notRead says when a page is tried again: after an hour, six hours, one and three days, so that a portal may be under repair
// over a holiday; then it is given up. What is gone, or closed to us, is so at once.
func notRead(q zonewire.QueuedPage, v verdict, now time.Time) zonewire.QueuedPage {
	after := [maxTries - 1]time.Duration{time.Hour, 6 * time.Hour, day, 3 * day}
	q.Tries++
	q.Error = zonewire.Shorten(v.reason, 300)
	if v.class == missing || v.class == gone || v.closed || q.Tries >= maxTries {
		q.Done = true
		return q
	}
	q.Next = now.Add(max(after[q.Tries-1], v.retry))
	return q
}
