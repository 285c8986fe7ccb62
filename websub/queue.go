package websub

import (
	"slices"
	"time"
)

const (
	perHost    = 2           // requests at a time
	hostShare  = maxHeld / 4 // tasks of one host at hand; what is more comes again when its claim ends
	sendWithin = 15 * time.Second
	manySilent = 3           // requests in a row that a host did not answer
	restFor    = time.Minute // then it is left alone
	rememberIn = 10 * time.Minute
)

// queue holds the tasks at hand, and says which is next. It is one goroutine's.
type queue struct {
	lanes  map[string]*lane // by host
	turns  []string         // hosts with waiting tasks, in the order of their turns
	held   int              // tasks that wait
	active int              // tasks that workers have
}

// lane is one host.
type lane struct {
	waiting []task
	active  int
	silent  int       // requests in a row without an answer
	failed  time.Time // when the last of them failed
}

func newQueue() *queue { return &queue{lanes: map[string]*lane{}} }

// rests reports whether a host is left alone for now.
func (l *lane) rests(now time.Time) bool {
	return l.silent >= manySilent && now.Before(l.failed.Add(restFor))
}

// add takes a task in. One of a host that rests, or that has its share at hand, is dropped, unless that would count as a
// try: it comes again when its claim ends, at no cost.
func (q *queue) add(t task, now time.Time) {
	l := q.lanes[t.host]
	if l == nil {
		l = &lane{}
		q.lanes[t.host] = l
	}
	if l.rests(now) && t.skip == nil || len(l.waiting) >= hostShare {
		return
	}
	if len(l.waiting) == 0 {
		q.turns = append(q.turns, t.host)
	}
	l.waiting = append(l.waiting, t)
	q.held++
}

// next gives the task that is to be begun now, if there is one: the first of the first host in turn that may have another
// request. What has waited too long to be done within its claim is dropped, and what is for a host that rests is skipped.
func (q *queue) next(now time.Time) (task, bool) {
	for range len(q.turns) {
		host := q.turns[0]
		q.turns = q.turns[1:]
		l := q.lanes[host]
		rests := l.rests(now)
		for len(l.waiting) > 0 && (l.waiting[0].until.Sub(now) < sendWithin || rests && l.waiting[0].skip == nil) {
			l.pop()
			q.held--
		}
		var t task
		ok := len(l.waiting) > 0 && l.active < perHost
		if ok {
			if t = l.pop(); rests {
				t.send = t.skip
			}
			l.active++
			q.held--
			q.active++
		}
		if len(l.waiting) > 0 {
			q.turns = append(q.turns, host)
		}
		if ok {
			return t, true
		}
	}
	return task{}, false
}

func (l *lane) pop() task {
	t := l.waiting[0]
	l.waiting[0] = task{} // let go of what it holds
	l.waiting = l.waiting[1:]
	return t
}

// finish takes in that a task of a host is done.
func (q *queue) finish(host string, shown health, now time.Time) {
	q.active--
	l := q.lanes[host]
	l.active--
	switch shown {
	case answered:
		l.silent = 0
	case silent:
		l.silent++
		l.failed = now
	}
}

// take gives any task that waits, and does not count it as begun.
func (q *queue) take() (task, bool) {
	if len(q.turns) == 0 {
		return task{}, false
	}
	l := q.lanes[q.turns[0]]
	t := l.pop()
	if len(l.waiting) == 0 {
		q.turns = slices.Delete(q.turns, 0, 1)
	}
	q.held--
	return t, true
}

// forget lets go of the hosts that nothing is known of any more.
func (q *queue) forget(now time.Time) {
	for host, l := range q.lanes {
		if len(l.waiting) == 0 && l.active == 0 && (l.silent == 0 || now.Sub(l.failed) > rememberIn) {
			delete(q.lanes, host)
		}
	}
}
