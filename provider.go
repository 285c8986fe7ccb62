package zonewire

import (
	"math"
	"math/bits"
	"time"
)

// Provider is how one group of mailboxes takes our mail: those of one provider, or of one domain. It is kept in the
// database, so that a restart does not forget that a provider had enough. Its methods are the whole policy of pacing,
// and pure.
//
//   - Without trouble there is no limit. A reply that speaks of rate halves the pace, which then doubles every hour
//     until it has left four times the pace of the first complaint behind: then the limit goes.
//   - Five such replies within ten minutes, or ten of the last twenty answers that refuse us by policy, open the
//     breaker for 15 minutes. Then one mail goes as a probe: taken, the breaker closes; refused, it opens for twice as
//     long, up to four hours.
type Provider struct {
	Name string // as package provider names it: qq, netease, …, or the domain

	Rate    int       // mails an hour at Since; 0 = no limit
	Ceiling int       // mails an hour when the limit came
	Since   time.Time // when Rate was set
	Booked  time.Time // tokens are given out up to here

	Hits      int // replies about rate since HitsSince
	HitsSince time.Time
	Recent    int64 // the last 20 answers, the latest the lowest bit; 1 = refused by policy

	Opened    time.Time // when the breaker opened; zero while it is closed
	OpenUntil time.Time // then one probe goes
	Openings  int       // in a row
	Probed    time.Time // when the probe went, zero while it is due

	Frozen time.Time // until then no refusal there suppresses an address: see the store's valve
	Reason string    // the last complaint, without any address
}

// Bounds of the pacing.
const (
	slowestRate   = 12 // mails an hour
	usualRate     = 1200
	recoverIn     = time.Hour // the pace doubles
	hitsWithin    = 10 * time.Minute
	hitsToOpen    = 5
	answersKept   = 20
	refusedToOpen = answersKept / 2
	firstOpen     = 15 * time.Minute
	longestOpen   = 4 * time.Hour
	probeLost     = 15 * time.Minute // a probe without an answer counts as none
	tokenWindow   = 2 * time.Second  // tokens of so long may go at once
)

// Limit is the pace at now in mails an hour; 0 means no limit.
func (p Provider) Limit(now time.Time) float64 {
	if p.Rate == 0 {
		return 0
	}
	rate := float64(p.Rate) * math.Exp2(max(0, now.Sub(p.Since).Hours()/recoverIn.Hours()))
	if rate >= 4*float64(p.Ceiling) {
		return 0
	}
	return rate
}

// Allowance is how many mails may be claimed at now, at most most.
func (p Provider) Allowance(most int, now time.Time) int {
	if !p.Opened.IsZero() {
		if now.Before(p.OpenUntil) || !p.Probed.IsZero() && now.Sub(p.Probed) < probeLost {
			return 0
		}
		return min(most, 1)
	}
	rate := p.Limit(now)
	if rate == 0 {
		return most
	}
	free := now.Sub(p.booked(now))
	return min(most, max(0, int(free.Seconds()*rate/3600)))
}

// booked is up to when tokens are given out, at least so far that no more than the window's are free.
func (p Provider) booked(now time.Time) time.Time {
	window := max(tokenWindow, p.token(now)+time.Second) // whoever looks once a second must not lose the rest of one
	if earliest := now.Add(-window); p.Booked.Before(earliest) {
		return earliest
	}
	return p.Booked
}

// token is the time that one mail takes at the present pace.
func (p Provider) token(now time.Time) time.Duration {
	return time.Duration(math.Ceil(3600 / p.Limit(now) * float64(time.Second)))
}

// Take books n mails that were claimed, and reports whether p changed.
func (p *Provider) Take(n int, now time.Time) bool {
	switch {
	case n == 0:
		return false
	case !p.Opened.IsZero():
		p.Probed = now
	case p.Limit(now) == 0:
		if p.Rate == 0 {
			return false
		}
		p.Rate, p.Ceiling, p.Reason = 0, 0, ""
	default:
		p.Booked = p.booked(now).Add(time.Duration(n) * p.token(now))
	}
	return true
}

// FreeAt is when the next mail may be claimed: now or before if at once.
func (p Provider) FreeAt(now time.Time) time.Time {
	switch {
	case !p.Opened.IsZero():
		if !p.Probed.IsZero() && p.Probed.Add(probeLost).After(p.OpenUntil) {
			return p.Probed.Add(probeLost)
		}
		return p.OpenUntil
	case p.Limit(now) == 0:
		return now
	}
	return p.booked(now).Add(p.token(now))
}

// Troubled reports whether acceptances matter: only then must they be observed.
func (p Provider) Troubled() bool { return p.Recent != 0 || !p.Opened.IsZero() }

// Open reports whether the breaker holds mail back at now.
func (p Provider) Open(now time.Time) bool {
	return !p.Opened.IsZero() && (now.Before(p.OpenUntil) || !p.Probed.IsZero())
}

// Answer is how a provider answered one mail.
type Answer struct {
	Verdict Verdict // empty: taken
	Text    string  // the reply without any address
	Began   time.Time
	PerHour float64 // the pace of late, as the sender measured it
}

// Observe takes an answer in and reports whether the breaker opened.
func (p *Provider) Observe(a Answer, now time.Time) (opened bool) {
	switch a.Verdict {
	case VerdictRate:
		p.Reason = a.Text
		p.slow(a, now)
		if now.Sub(p.HitsSince) > hitsWithin {
			p.Hits, p.HitsSince = 0, now
		}
		p.Hits++
		if p.Hits >= hitsToOpen || !p.Opened.IsZero() {
			return p.open(a, now)
		}
	case VerdictPolicy:
		p.Reason = a.Text
		p.remember(1)
		if bits.OnesCount64(uint64(p.Recent)) >= refusedToOpen || !p.Opened.IsZero() {
			return p.open(a, now)
		}
	case VerdictNetwork: // says nothing about the provider's mind
		p.Probed = time.Time{}
	default: // taken, or refused for the recipient's sake: the provider listens to us
		p.remember(0)
		if !p.Opened.IsZero() && !a.Began.Before(p.OpenUntil) {
			p.Opened, p.OpenUntil, p.Probed, p.Openings, p.Hits, p.Recent = time.Time{}, time.Time{}, time.Time{}, 0, 0, 0
		}
	}
	return false
}

func (p *Provider) remember(refused int64) {
	p.Recent = (p.Recent<<1 | refused) & (1<<answersKept - 1)
}

// slow halves the pace. What was under way when it was last halved does not halve it again.
func (p *Provider) slow(a Answer, now time.Time) {
	rate := p.Limit(now)
	if rate == 0 {
		rate = max(a.PerHour, usualRate)
		p.Ceiling = int(rate)
	} else if a.Began.Before(p.Since) {
		return
	}
	p.Rate, p.Since, p.Booked = max(slowestRate, int(rate/2)), now, now
}

// open opens the breaker, or lets it stay open after a probe that was refused. What was under way when it opened
// changes nothing.
func (p *Provider) open(a Answer, now time.Time) bool {
	if !p.Opened.IsZero() && a.Began.Before(p.OpenUntil) {
		return false
	}
	p.OpenUntil = now.Add(min(firstOpen<<min(p.Openings, 10), longestOpen))
	p.Opened, p.Probed, p.Hits = now, time.Time{}, 0
	p.Openings++
	return true
}
