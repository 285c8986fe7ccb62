package web

import (
	"container/list"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// What one network may ask of the forms that send mail: five at once, then ten an hour. A school or an office behind one
// address gets by with it; whoever wants to flood mailboxes does not.
const (
	formBurst = 5
	formEvery = 6 * time.Minute
	networks  = 10_000 // that are remembered; the one not seen for longest makes room
)

// limiter counts requests by network, in memory: a restart forgives. Limits by address are the store's.
type limiter struct {
	mu    sync.Mutex
	known map[netip.Prefix]*list.Element
	order *list.List // of *visitor, the latest first
	room  int
}

type visitor struct {
	network netip.Prefix
	bucket  *rate.Limiter
}

func newLimiter(room int) *limiter {
	return &limiter{known: make(map[netip.Prefix]*list.Element), order: list.New(), room: room}
}

// take counts a request from a at now, and says how long its network must wait: 0 if it need not.
func (l *limiter) take(a netip.Addr, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.bucket(network(a)).ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait > 0 {
		r.CancelAt(now) // who is sent away does not push their own turn further off
	}
	return wait
}

func (l *limiter) bucket(n netip.Prefix) *rate.Limiter {
	if e, ok := l.known[n]; ok {
		l.order.MoveToFront(e)
		return e.Value.(*visitor).bucket
	}
	for l.order.Len() >= l.room {
		oldest := l.order.Back()
		delete(l.known, oldest.Value.(*visitor).network)
		l.order.Remove(oldest)
	}
	v := &visitor{n, rate.NewLimiter(rate.Every(formEvery), formBurst)}
	l.known[n] = l.order.PushFront(v)
	return v.bucket
}

// network is the part of an address that one customer is likely to hold: /24 of IPv4, /48 of IPv6, whose sites get no
// less (RFC 6177). Requests from no address at all share one.
func network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 48
	if a.Is4() {
		bits = 24
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// client is where the request comes from.
func (s *server) client(r *http.Request) netip.Addr {
	if s.Client != nil {
		return s.Client(r)
	}
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil { // a listener on a Unix socket has no addresses
		return netip.Addr{}
	}
	return at.Addr()
}

// slow refuses a request of a network that has asked too often, and says when to come again.
func (s *server) slow(w http.ResponseWriter, r *http.Request) error {
	wait := s.limits.take(s.client(r), s.Now())
	if wait <= 0 {
		return nil
	}
	seconds := int64((wait + time.Second - 1) / time.Second)
	w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	return &problem{http.StatusTooManyRequests, "slow"}
}
