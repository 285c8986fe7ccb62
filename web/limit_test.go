package web

import (
	"net/netip"
	"testing"
	"time"
)

func TestNetwork(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"an IPv4 address counts with its 256 neighbours", "203.0.113.77", "203.0.113.0/24"},
		{"the same, written as IPv6", "::ffff:203.0.113.77", "203.0.113.0/24"},
		{"an IPv6 address counts with its site", "2001:db8:1:2:3::4", "2001:db8:1::/48"},
		{"the interface does not count", "fe80::1%eth0", "fe80::/48"},
	} {
		if got := network(netip.MustParseAddr(tt.in)).String(); got != tt.want {
			t.Errorf("%s: network(%s) = %s, want %s", tt.name, tt.in, got, tt.want)
		}
	}
	if got := network(netip.Addr{}); got != (netip.Prefix{}) {
		t.Errorf("no address: got %s", got)
	}
}

func TestLimiter(t *testing.T) {
	var (
		start  = time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC)
		here   = netip.MustParseAddr("203.0.113.7")
		beside = netip.MustParseAddr("203.0.113.200")
		away   = netip.MustParseAddr("198.51.100.7")
	)
	l := newLimiter(networks)
	for i := range formBurst {
		if wait := l.take(here, start); wait != 0 {
			t.Fatalf("request %d waits %s, want none", i+1, wait)
		}
	}
	for _, tt := range []struct {
		name  string
		from  netip.Addr
		after time.Duration
		want  time.Duration
	}{
		{"the sixth at once waits for its turn", here, 0, 6 * time.Minute},
		{"asking again makes the wait no longer", here, time.Minute, 5 * time.Minute},
		{"a neighbour waits too", beside, time.Minute, 5 * time.Minute},
		{"another network does not", away, time.Minute, 0},
		{"the turn has come", beside, 6 * time.Minute, 0},
		{"and was one", here, 6 * time.Minute, 6 * time.Minute},
		{"after half an hour of rest five are free again", here, 42 * time.Minute, 0},
	} {
		if got := l.take(tt.from, start.Add(tt.after)); got.Round(time.Second) != tt.want {
			t.Errorf("%s: waits %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestLimiterForgetsWhoWasNotSeenForLongest(t *testing.T) {
	now := time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC)
	l := newLimiter(3)
	ask := func(last byte) time.Duration { return l.take(netip.AddrFrom4([4]byte{10, 0, last, 1}), now) }
	for range formBurst {
		ask(1)
		ask(2)
	}
	ask(3)
	if ask(1) == 0 { // refused, but seen
		t.Error("the first network is free, want it to wait")
	}
	ask(4) // makes room: the second goes
	if len(l.known) != 3 || l.order.Len() != 3 {
		t.Fatalf("%d networks known, %d in order, want 3", len(l.known), l.order.Len())
	}
	if ask(1) == 0 {
		t.Error("the first network was forgotten though it was seen lately")
	}
	if wait := ask(2); wait != 0 {
		t.Errorf("the second network waits %s, want it forgotten", wait)
	}
}
