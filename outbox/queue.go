package outbox

import (
	"context"
	"sync"
	"time"

	"zonewire"
	"zonewire/internal/provider"
)

// queue holds the jobs that were claimed and that no sender has yet, a lane for each provider group, so that a slow
// provider fills its own lane and nobody else's. A sender gets the job whose lane has the fewest mails under way.
type queue struct {
	connections int // of all senders
	limits      func(group string) provider.Limits

	mu      sync.Mutex
	changed *sync.Cond
	lanes   map[string]*lane // those with a job waiting or under way
	notices []zonewire.Job   // go first, and past every limit: people wait for them
	waiting int              // jobs in lanes and notices
	flying  int              // jobs handed out and not done
	idle    int              // senders with a connection that have nothing to do
	dialing int              // senders on their way to a connection
	closed  bool
	want    int           // jobs to hold ready
	hungry  chan struct{} // tells the feeder that more is wanted; holds one signal
	pace    map[string]*counter
	turn    int
}

type lane struct {
	name   string
	limits provider.Limits
	jobs   []zonewire.Job
	flying int
	served int // the turn in which it was served last
}

// free is how many more of the lane may go now.
func (l *lane) free() int { return min(len(l.jobs), l.limits.Connections-l.flying) }

// A lane is filled to so many rounds of its connections, once half of them are gone: a claim costs about as much for one
// mail as for twenty.
const roundsAhead = 8

func newQueue(connections, want int, limits func(string) provider.Limits) *queue {
	q := &queue{connections: connections, want: want, limits: limits, lanes: map[string]*lane{}, hungry: make(chan struct{}, 1), pace: map[string]*counter{}}
	q.changed = sync.NewCond(&q.mu)
	return q
}

// limitsOf bounds a group that has no limit of its own too.
func (q *queue) limitsOf(group string) provider.Limits {
	l := q.limits(group)
	if most := q.connections - q.kept(); l.Connections == 0 || l.Connections > most {
		l.Connections = most
	}
	return l
}

// kept is how many connections are kept for groups that have no mail under way, so that servers which stop answering,
// however many mails each has before it, do not hold up the rest. With few connections that would cost too much.
func (q *queue) kept() int {
	if q.connections >= 4 {
		return 1
	}
	return 0
}

// shared is how many more mails may go now of groups that have some under way.
func (q *queue) shared() int { return max(0, q.connections-q.kept()-q.flying) }

// room is how many more jobs of a group the senders can use: a few rounds ahead of what may go at once.
func (q *queue) room(group string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	l, ok := q.lanes[group]
	switch {
	case !ok:
		return roundsAhead * q.limitsOf(group).Connections
	case len(l.jobs) >= l.half():
		return 0
	}
	return roundsAhead*l.limits.Connections - len(l.jobs)
}

func (l *lane) half() int { return roundsAhead / 2 * l.limits.Connections }

// wish tells the feeder that more is wanted.
func (q *queue) wish() {
	select {
	case q.hungry <- struct{}{}:
	default:
	}
}

// add puts claimed jobs in.
func (q *queue) add(jobs []zonewire.Job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, j := range jobs {
		if j.Kind == zonewire.NoticeJob {
			q.notices = append(q.notices, j)
			continue
		}
		l, ok := q.lanes[j.Provider]
		if !ok {
			l = &lane{name: j.Provider, limits: q.limitsOf(j.Provider)}
			q.lanes[j.Provider] = l
		}
		l.jobs = append(l.jobs, j)
	}
	q.waiting += len(jobs)
	q.changed.Broadcast()
}

// clear forgets every job that waits, and says how many they were.
func (q *queue) clear() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.waiting
	q.waiting, q.notices = 0, nil
	for name, l := range q.lanes {
		l.jobs = nil
		if l.flying == 0 {
			delete(q.lanes, name)
		}
	}
	return n
}

// counts gives how many jobs wait and how many are under way.
func (q *queue) counts() (waiting, flying int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting, q.flying
}

// close lets every sender go that has nothing to do. What waits is given back when the shift signs off.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.changed.Broadcast()
}

// ready counts the jobs that may go now, as far as the caller needs to know.
func (q *queue) ready(enough int) int {
	n, shared := len(q.notices), q.shared()
	for _, l := range q.lanes {
		if n > enough {
			break
		}
		free := max(0, l.free())
		if free > 0 && l.flying == 0 {
			free--
			n++
		}
		free = min(free, shared)
		shared -= free
		n += free
	}
	return n
}

// work waits until a sender without a connection is needed: more may go than connected senders are free. It answers
// false when there will be no more. The sender then takes over its new connection, or calls undialed.
func (q *queue) work(ctx context.Context) bool {
	defer context.AfterFunc(ctx, q.wake)()
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if q.closed || ctx.Err() != nil {
			return false
		}
		if taken := q.idle + q.dialing; q.ready(taken) > taken {
			q.dialing++
			return true
		}
		q.changed.Wait()
	}
}

// undialed says that a sender on its way has got no connection.
func (q *queue) undialed() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.dialing--
	q.changed.Broadcast()
}

// wake makes every waiter look again, such as after its context has ended.
func (q *queue) wake() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.changed.Broadcast()
}

// taking is what a sender with a connection got.
type taking int

const (
	tookJob     taking = iota
	tookNothing        // for too long, or there will be no more
	tookRenewal        // only jobs for which this connection has served enough
)

// take waits for a job that may go over a connection, which has carried used of each group: nothing at all if it is
// fresh. The job is then under way until done.
func (q *queue) take(ctx context.Context, used map[string]int, fresh bool, patience time.Duration) (zonewire.Job, taking) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	defer context.AfterFunc(ctx, q.wake)()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.idle++
	defer func() { q.idle-- }()
	if fresh {
		q.dialing--
	}
	for first := true; ; first = false {
		if q.closed || ctx.Err() != nil {
			return zonewire.Job{}, tookNothing
		}
		j, took := q.pick(used)
		if took != tookNothing {
			return j, took
		}
		if first {
			q.wish() // what waits is not for this sender
		}
		q.changed.Wait()
	}
}

// swap gives a job that may go at once over the connection that has just carried another, which is then not under way
// any more: what counts is the mails that a provider has before it. Without one nothing changes.
func (q *queue) swap(done zonewire.Job, used map[string]int) (zonewire.Job, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return zonewire.Job{}, false
	}
	l := q.laneOf(done)
	q.flying--
	if l != nil {
		l.flying--
	}
	j, took := q.pick(used)
	if took != tookJob {
		q.flying++
		if l != nil {
			l.flying++
		}
		return j, false
	}
	q.landed(done, l)
	return j, true
}

// pick takes a job that may go now out of what waits: it is under way.
func (q *queue) pick(used map[string]int) (zonewire.Job, taking) {
	if len(q.notices) > 0 {
		j := q.notices[0]
		q.notices = q.notices[1:]
		q.waiting--
		q.flying++
		return j, tookJob
	}
	best, worn := q.next(used)
	switch {
	case best != nil:
		j := best.jobs[0]
		best.jobs = best.jobs[1:]
		best.flying++
		q.turn++
		best.served = q.turn
		q.waiting--
		q.flying++
		if q.waiting == q.want/2 || len(best.jobs) == best.half()-1 {
			q.wish()
		}
		return j, tookJob
	case worn:
		return zonewire.Job{}, tookRenewal
	}
	return zonewire.Job{}, tookNothing
}

// laneOf is the lane that a job under way is in; a notice is in none.
func (q *queue) laneOf(j zonewire.Job) *lane {
	if j.Kind != zonewire.DigestJob {
		return nil
	}
	return q.lanes[j.Provider]
}

// next finds the lane to serve: the one with the fewest mails under way, and of those the one served longest ago. worn
// tells that there is one, but not for this connection.
func (q *queue) next(used map[string]int) (best *lane, worn bool) {
	shared := q.shared()
	for _, l := range q.lanes {
		if l.free() < 1 || l.flying > 0 && shared == 0 {
			continue
		}
		if m := l.limits.MailsPerConnection; m > 0 && used[l.name] >= m {
			worn = true
			continue
		}
		if best == nil || l.flying < best.flying || l.flying == best.flying && l.served < best.served {
			best = l
		}
	}
	return best, worn
}

// done says that a job is not under way any more.
func (q *queue) done(j zonewire.Job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.flying--
	l := q.laneOf(j)
	if l != nil {
		l.flying--
	}
	q.landed(j, l)
}

// landed lets go of the lane of a job that is not under way any more, if it was the last.
func (q *queue) landed(j zonewire.Job, l *lane) {
	if l != nil && l.flying == 0 && len(l.jobs) == 0 {
		delete(q.lanes, j.Provider)
	}
	q.changed.Broadcast()
}

// counter measures the pace of a group: the mails of this minute and of the one before.
type counter struct {
	minute       int64
	now, earlier int
}

const countersKept = 10_000

// count notes a mail to a group, and gives the pace of late in mails an hour.
func (q *queue) count(group string, at time.Time) float64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	c := q.pace[group]
	if c == nil {
		if len(q.pace) >= countersKept {
			clear(q.pace) // a pace is only asked for in trouble, and soon measured again
		}
		c = &counter{}
		q.pace[group] = c
	}
	switch minute := at.Unix() / 60; minute - c.minute {
	case 0:
	case 1:
		c.minute, c.earlier, c.now = minute, c.now, 0
	default:
		c.minute, c.earlier, c.now = minute, 0, 0
	}
	c.now++
	return 60 * float64(max(c.now, c.earlier))
}
