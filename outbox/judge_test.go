package outbox

// These tests stand inside the package: what becomes of a delivery is decided by unexported pure functions, and seeing
// the same through a server would hide which word of a reply decided.

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"zonewire"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

func TestJudge(t *testing.T) {
	const to = "reader@example.net"
	tests := []struct {
		name  string
		stage Stage
		code  int
		text  string
		want  zonewire.DeliveryState
	}{
		{"the final dot is accepted", StageDot, 250, "2.0.0 queued as 4711", zonewire.Accepted},
		{"250 before the final dot is no acceptance", StageData, 250, "ok", zonewire.Deferred},
		{"no reply to the final dot: nobody knows", StageDot, 0, "EOF", zonewire.Uncertain},
		{"connection lost at RCPT", StageRcpt, 0, "read: connection reset by peer", zonewire.Deferred},
		{"connection lost in the message", StageData, 0, "broken pipe", zonewire.Deferred},

		{"unknown user", StageRcpt, 550, "5.1.1 <reader@example.net>: Recipient address rejected: User unknown", zonewire.Rejected},
		{"unknown user without a code", StageRcpt, 550, "User not found: reader@example.net", zonewire.Rejected},
		{"550 that says nothing", StageRcpt, 550, "no", zonewire.Rejected},
		{"bad syntax", StageRcpt, 501, "Bad address syntax", zonewire.Rejected},
		{"no such host", StageRcpt, 550, "5.1.2 no such domain", zonewire.Rejected},
		{"null MX", StageRcpt, 556, "5.1.10 domain takes no mail", zonewire.Rejected},
		{"disabled", StageRcpt, 550, "5.2.1 The email account that you tried to reach is disabled", zonewire.Rejected},
		{"unknown user said after the dot", StageDot, 554, "delivery error: dd This user doesn't have a example.net account", zonewire.Rejected},
		{"a policy word in another address means nothing", StageRcpt, 550, "5.1.1 no such user spam-limit@example.net", zonewire.Rejected},

		{"greylisted", StageRcpt, 450, "4.2.0 Greylisted, try again in 300 seconds", zonewire.Deferred},
		{"hanging up", StageMail, 421, "4.7.0 too many connections", zonewire.Deferred},
		{"QQ's rate limit comes as 550", StageRcpt, 550, "Mailbox unavailable or access denied", zonewire.Deferred},
		{"QQ's frequency limit", StageRcpt, 550, "Ip frequency limited", zonewire.Deferred},
		{"an address code with a policy text", StageRcpt, 550, "5.1.1 rejected due to poor reputation", zonewire.Deferred},
		{"relaying denied", StageRcpt, 550, "5.7.1 Relaying denied", zonewire.Deferred},
		{"blocked", StageRcpt, 550, "5.7.1 Service unavailable, client host blocked", zonewire.Deferred},
		{"full mailbox, for good", StageRcpt, 552, "5.2.2 mailbox full", zonewire.Rejected},
		{"full mailbox, for now", StageRcpt, 452, "4.2.2 mailbox full", zonewire.Deferred},
		{"content after the dot", StageDot, 550, "Mail content denied", zonewire.Deferred},
		{"550 after the dot that says nothing", StageDot, 550, "no", zonewire.Deferred},
		{"554 spam", StageDot, 554, "DT:SPM", zonewire.Deferred},
		{"the sender is refused", StageMail, 550, "5.1.8 no such sender", zonewire.Deferred},
		{"an address code at MAIL is about us", StageMail, 550, "5.1.1 user unknown", zonewire.Deferred},
		{"the sender's address at RCPT", StageRcpt, 550, "5.1.8 bad sender address", zonewire.Deferred},
		{"too big", StageMail, 552, "5.3.4 message too big", zonewire.Deferred},
		{"protocol error", StageRcpt, 503, "5.5.1 MAIL first", zonewire.Deferred},
		{"GBK text", StageRcpt, 550, "\xc4\xfa\xb5\xc4\xd3\xca\xbc\xfe", zonewire.Rejected},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			job := zonewire.Job{ID: 5, Slot: noon.Add(-time.Hour)}
			r := Reply{Stage: tt.stage, Code: tt.code, Text: tt.text}
			got := judge(r, job, to, noon)
			if got.State != tt.want {
				t.Errorf("%+v is %v, want %v", r, got.State, tt.want)
			}
			if got.Lost != (tt.want == zonewire.Uncertain) {
				t.Errorf("lost is %v", got.Lost)
			}
			if open := got.State == zonewire.Deferred || got.Lost; open == got.Next.IsZero() {
				t.Errorf("next try at %v for %v", got.Next, got.State)
			}
			if !utf8.ValidString(got.Reply) || got.Code != tt.code {
				t.Errorf("outcome %+v", got)
			}
		})
	}
}

func TestJudgeIgnoresWordsInTheReadersOwnAddress(t *testing.T) {
	const to = "Block.Rate@spam-limit.example"
	r := Reply{Stage: StageRcpt, Code: 550, Text: "5.1.1 <block.rate@spam-limit.example>: user unknown"}
	if got := judge(r, zonewire.Job{Slot: noon}, to, noon); got.State != zonewire.Rejected || got.Enhanced != "5.1.1" {
		t.Errorf("got %+v, want rejected 5.1.1", got)
	}
}

func TestRetryWait(t *testing.T) {
	bases := []time.Duration{2 * time.Minute, 7 * time.Minute, 20 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 8 * time.Hour}
	different := map[time.Duration]bool{}
	for attempt, base := range bases {
		for id := range int64(200) {
			job := zonewire.Job{ID: id, Attempts: attempt}
			got := retryWait(job)
			if got < base*8/10 || got > base*12/10 {
				t.Errorf("attempt %d of %d waits %v, want %v give or take a fifth", attempt, id, got, base)
			}
			if again := retryWait(job); again != got {
				t.Errorf("attempt %d of %d waits %v, then %v", attempt, id, got, again)
			}
			different[got] = true
		}
	}
	if len(different) < 1500 {
		t.Errorf("%d waits for 1600 jobs: they come back together", len(different))
	}
}

func TestLater(t *testing.T) {
	tests := []struct {
		name     string
		slot     time.Time
		attempts int
		asked    time.Duration
		state    zonewire.DeliveryState
		min, max time.Duration // of the wait
	}{
		{"first failure", noon, 0, 0, zonewire.Deferred, 96 * time.Second, 144 * time.Second},
		{"what the server asks for overrules the schedule", noon, 0, 300 * time.Second, zonewire.Deferred, 300 * time.Second, 360 * time.Second},
		{"also when it asks for less", noon, 5, 15 * time.Minute, zonewire.Deferred, 15 * time.Minute, 18 * time.Minute},
		{"the last try is at the end", noon.Add(-47 * time.Hour), 9, 0, zonewire.Deferred, time.Hour, time.Hour},
		{"after the end it is over", noon.Add(-48 * time.Hour), 9, 0, zonewire.Expired, 0, 0},
		{"without a slot there is no end", time.Time{}, 9, 0, zonewire.Deferred, 6 * time.Hour, 10 * time.Hour},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for id := range int64(50) {
				state, next := later(zonewire.Job{ID: id, Attempts: tt.attempts, Slot: tt.slot}, tt.asked, noon)
				if state != tt.state {
					t.Fatalf("job %d: %v, want %v", id, state, tt.state)
				}
				if wait := next.Sub(noon); state == zonewire.Deferred && (wait < tt.min || wait > tt.max) {
					t.Errorf("job %d waits %v, want %v to %v", id, wait, tt.min, tt.max)
				}
			}
		})
	}
}

// The sentence of the server's own words reaches the schedule.
func TestJudgeWaitsAsLongAsAsked(t *testing.T) {
	r := Reply{Stage: StageRcpt, Code: 451, Text: "4.2.0 Greylisted, try again in 300 seconds"}
	if wait := judge(r, zonewire.Job{ID: 1, Slot: noon}, "a@example.net", noon).Next.Sub(noon); wait < 5*time.Minute || wait > 6*time.Minute {
		t.Errorf("waits %v, want 300 seconds and at most a fifth more", wait)
	}
}

// FuzzJudge holds what must be true of any reply: nothing but a 2xx after the dot is success, nothing but a 5xx that
// names the recipient's stage is final before the time is up, and what is stored is clean.
func FuzzJudge(f *testing.F) {
	f.Add(3, 250, "2.0.0 ok")
	f.Add(1, 550, "5.1.1 <a@b> user unknown; try again in 5 minutes")
	f.Add(2, 0, "\xff\x00\n")
	f.Add(1, 550, strings.Repeat("频率", 500))
	f.Fuzz(func(t *testing.T, stage, code int, text string) {
		r := Reply{Stage: Stage(uint(stage) % 4), Code: code, Text: text}
		out := judge(r, zonewire.Job{ID: 1, Slot: noon}, "a@b", noon)
		switch out.State {
		case zonewire.Accepted:
			if r.Stage != StageDot || code/100 != 2 {
				t.Errorf("%+v is accepted", r)
			}
		case zonewire.Rejected:
			if r.Stage == StageMail || code/100 != 5 {
				t.Errorf("%+v is rejected", r)
			}
		case zonewire.Uncertain:
			if r.Stage != StageDot || code != 0 {
				t.Errorf("%+v is uncertain", r)
			}
		case zonewire.Deferred:
			if wait := out.Next.Sub(noon); wait < 10*time.Second || wait > 15*time.Hour {
				t.Errorf("%+v waits %v", r, wait)
			}
		default:
			t.Errorf("%+v is %v", r, out.State)
		}
		if !utf8.ValidString(out.Reply) || len(out.Reply) > replyLength+20 || strings.ContainsAny(out.Reply, "\x00\r\n") {
			t.Errorf("reply %q", out.Reply)
		}
	})
}
