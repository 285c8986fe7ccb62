package zonewire_test

import (
	"testing"
	"time"

	"zonewire"
)

var noon = time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC)

// rated is a provider that has just complained about rate, once, when it was sent 3600 mails an hour.
func rated(t *testing.T) zonewire.Provider {
	t.Helper()
	var p zonewire.Provider
	p.Observe(zonewire.Answer{Verdict: zonewire.VerdictRate, Text: "too fast", Began: noon, PerHour: 3600}, noon)
	return p
}

func TestAProviderWithoutTroubleHasNoLimit(t *testing.T) {
	var p zonewire.Provider
	if got := p.Allowance(200, noon); got != 200 {
		t.Errorf("allowance %d, want all 200", got)
	}
	if p.Take(200, noon) || p.Troubled() {
		t.Error("taking from a provider without trouble must change nothing: it is not stored")
	}
}

func TestOneComplaintAboutRateHalvesThePace(t *testing.T) {
	p := rated(t)
	if got := p.Limit(noon); got != 1800 {
		t.Errorf("limit %v an hour, want half of 3600", got)
	}
	// What was under way at that moment complains too, and must not halve it again and again.
	p.Observe(zonewire.Answer{Verdict: zonewire.VerdictRate, Began: noon.Add(-time.Second)}, noon.Add(time.Second))
	if got := p.Limit(noon.Add(time.Second)); got < 1800 || got > 1801 {
		t.Errorf("limit %v an hour after a second reply to the same burst, want still 1800", got)
	}
	p.Observe(zonewire.Answer{Verdict: zonewire.VerdictRate, Began: noon.Add(2 * time.Second)}, noon.Add(3*time.Second))
	if got := p.Limit(noon.Add(3 * time.Second)); got < 899 || got > 902 {
		t.Errorf("limit %v an hour after a later complaint, want half again", got)
	}
}

func TestThePaceIsKeptByTokens(t *testing.T) {
	p := rated(t) // 1800 an hour: one every two seconds
	sent, now := 0, noon
	for range 600 { // a minute of looks, ten a second
		now = now.Add(100 * time.Millisecond)
		n := p.Allowance(50, now)
		p.Take(n, now)
		sent += n
	}
	if sent < 28 || sent > 31 {
		t.Errorf("%d mails in a minute, want about 30", sent)
	}
	// A pause saves up no more than the window's tokens.
	if got := p.Allowance(50, now.Add(10*time.Minute)); got > 2 {
		t.Errorf("%d mails at once after a pause, want no burst", got)
	}
}

func TestThePaceRecoversSlowlyUntilTheLimitGoes(t *testing.T) {
	p := rated(t)
	for _, c := range []struct {
		after time.Duration
		want  float64
	}{{0, 1800}, {time.Hour, 3600}, {2 * time.Hour, 7200}, {3 * time.Hour, 0}} {
		if got := p.Limit(noon.Add(c.after)); got != c.want {
			t.Errorf("after %v: limit %v, want %v (0 is none)", c.after, got, c.want)
		}
	}
	if !p.Take(1, noon.Add(3*time.Hour)) || p.Rate != 0 {
		t.Error("a limit that is gone must be forgotten with the next mail")
	}
}

func TestFiveComplaintsInTenMinutesOpenTheBreaker(t *testing.T) {
	p := rated(t)
	for i := range 3 {
		now := noon.Add(time.Duration(i+1) * time.Minute)
		if p.Observe(zonewire.Answer{Verdict: zonewire.VerdictRate, Began: now}, now) {
			t.Fatalf("opened by complaint %d", i+2)
		}
	}
	now := noon.Add(9 * time.Minute)
	if !p.Observe(zonewire.Answer{Verdict: zonewire.VerdictRate, Began: now}, now) {
		t.Fatal("the fifth complaint must open the breaker")
	}
	if got := p.Allowance(9, now.Add(14*time.Minute)); got != 0 {
		t.Errorf("%d mails while it is open", got)
	}
	if got := p.FreeAt(now); !got.Equal(now.Add(15 * time.Minute)) {
		t.Errorf("free at %v, want after 15 minutes", got.Sub(now))
	}

	late := rated(t)
	for i := range 5 {
		now := noon.Add(time.Duration(i+1) * 11 * time.Minute)
		if late.Observe(zonewire.Answer{Verdict: zonewire.VerdictRate, Began: now}, now) {
			t.Error("complaints further apart than ten minutes only slow it")
		}
	}
}

// refusing is a provider whose breaker ten refusals by policy have opened.
func refusing(t *testing.T) zonewire.Provider {
	t.Helper()
	var p zonewire.Provider
	for i := range 20 {
		v := zonewire.VerdictPolicy
		if i%2 == 0 {
			v = ""
		}
		if opened := p.Observe(zonewire.Answer{Verdict: v, Text: "5.7.1 blocked", Began: noon}, noon); opened != (i == 19) {
			t.Fatalf("answer %d: opened %v", i+1, opened)
		}
	}
	return p
}

func TestHalfOfTheLastTwentyRefusedByPolicyOpensTheBreaker(t *testing.T) {
	p := refusing(t)
	if p.Allowance(9, noon.Add(time.Minute)) != 0 || p.Reason != "5.7.1 blocked" {
		t.Errorf("%+v", p)
	}
	// Refusals for the readers' sake open nothing, however many.
	var q zonewire.Provider
	for range 50 {
		if q.Observe(zonewire.Answer{Verdict: zonewire.VerdictHard, Began: noon}, noon) {
			t.Fatal("opened by addresses that do not exist")
		}
	}
}

func TestAfterTheWaitOneProbeDecides(t *testing.T) {
	p := refusing(t)
	now := noon.Add(15 * time.Minute)
	if got := p.Allowance(9, now); got != 1 {
		t.Fatalf("%d probes, want one", got)
	}
	p.Take(1, now)
	if got := p.Allowance(9, now.Add(time.Second)); got != 0 {
		t.Errorf("%d more while the probe is under way", got)
	}
	refused := p
	if !refused.Observe(zonewire.Answer{Verdict: zonewire.VerdictPolicy, Began: now}, now.Add(time.Second)) {
		t.Error("a probe that is refused opens it again")
	}
	if got := refused.FreeAt(now).Sub(now.Add(time.Second)); got != 30*time.Minute {
		t.Errorf("open for %v, want twice as long as before", got)
	}
	p.Observe(zonewire.Answer{Began: now}, now.Add(time.Second))
	if p.Open(now.Add(time.Second)) || p.Allowance(9, now.Add(time.Second)) != 9 {
		t.Errorf("a probe that is taken must close it: %+v", p)
	}
}

func TestAProbeWithoutAnAnswerIsFollowedByAnother(t *testing.T) {
	p := refusing(t)
	now := noon.Add(15 * time.Minute)
	p.Take(1, now)
	if got := p.Allowance(9, now.Add(14*time.Minute)); got != 0 {
		t.Errorf("%d, want to wait for the probe", got)
	}
	if got := p.Allowance(9, now.Add(15*time.Minute)); got != 1 {
		t.Errorf("%d, want another probe", got)
	}
}

func TestAnOldAnswerDoesNotReopenTheBreaker(t *testing.T) {
	p := refusing(t)
	until := p.OpenUntil
	if p.Observe(zonewire.Answer{Verdict: zonewire.VerdictPolicy, Began: noon.Add(-time.Second)}, noon.Add(time.Minute)) || p.OpenUntil != until {
		t.Error("what was under way when it opened must not prolong it")
	}
}

// However it is sent to, a provider under a limit never gets more than its pace and the window allow.
func TestThePaceHoldsForAnyPattern(t *testing.T) {
	p := rated(t)
	now, sent := noon, 0
	for i := range 3000 {
		now = now.Add(time.Duration(1+(i*7919)%1700) * time.Millisecond)
		n := p.Allowance(1+i%7, now)
		p.Take(n, now)
		sent += n
		// Recovery doubles the pace in an hour: the integral of the pace is the most that may have gone.
		hours := now.Sub(noon).Hours()
		most := 1800*(1/0.6931)*(pow2(hours)-1) + 3
		if float64(sent) > most {
			t.Fatalf("%d mails after %v, want at most %.0f", sent, now.Sub(noon), most)
		}
	}
	if sent < 500 {
		t.Errorf("only %d mails", sent)
	}
}

func pow2(x float64) float64 {
	r := 1.0
	for range 1000 {
		r *= 1 + x*0.693147/1000
	}
	return r
}
