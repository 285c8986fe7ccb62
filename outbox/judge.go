package outbox

import (
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"zonewire"
	"zonewire/internal/provider"
)

// judge says what becomes of a delivery after a transaction.
func judge(r Reply, job zonewire.Job, to string, now time.Time) zonewire.Outcome {
	out := zonewire.Outcome{Code: r.Code, Enhanced: provider.Enhanced(r.Code, r.Text), Reply: tidy(r)}
	switch {
	case r.Accepted():
		out.State = zonewire.Accepted
		return out
	case r.Lost():
		out.State, out.Lost, out.Next, out.Verdict = zonewire.Uncertain, true, now.Add(retryWait(job)), zonewire.VerdictNetwork
		return out
	}
	_, domain, _ := strings.Cut(to, "@")
	j := provider.Judge(provider.Refusal{
		Provider: provider.Group(strings.ToLower(domain)), Stage: stages[r.Stage], Code: r.Code, Enhanced: out.Enhanced,
		Text: r.Text, Address: to,
	})
	out.Verdict, out.Sure = j.Verdict, j.Sure
	if final(j.Verdict, r.Code) {
		out.State = zonewire.Rejected
	} else {
		out.State, out.Next = later(job, j.Wait, now)
	}
	return out
}

var stages = [...]provider.Stage{StageMail: provider.Mail, StageRcpt: provider.Rcpt, StageData: provider.Data, StageDot: provider.Dot}

// final reports whether a refusal ends a delivery: only one for the recipient's sake, by a code that says for good.
func final(v zonewire.Verdict, code int) bool {
	return code/100 == 5 && (v == zonewire.VerdictHard || v == zonewire.VerdictMailbox)
}

// later gives the time of the next try, asked being what the server asked to wait, or ends the delivery when its time is
// up.
func later(job zonewire.Job, asked time.Duration, now time.Time) (zonewire.DeliveryState, time.Time) {
	next := now.Add(retryWait(job))
	if asked > 0 {
		next = now.Add(asked + time.Duration(spread(job)*float64(asked)/5)) // never earlier than asked
	}
	if job.Slot.IsZero() {
		return zonewire.Deferred, next
	}
	end := job.Slot.Add(zonewire.GiveUpAfter)
	if !now.Before(end) {
		return zonewire.Expired, time.Time{}
	}
	if next.After(end) {
		next = end // the last try
	}
	return zonewire.Deferred, next
}

var retryWaits = [...]time.Duration{2 * time.Minute, 7 * time.Minute, 20 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour}

// retryWait is how long the job rests after this attempt: the schedule, give or take a fifth, so that what failed
// together does not come back together.
func retryWait(job zonewire.Job) time.Duration {
	wait := retryWaits[min(max(job.Attempts, 0), len(retryWaits)-1)]
	return wait + time.Duration((spread(job)*2-1)*float64(wait)/5)
}

// spread is a number in [0, 1) that depends on the job and its attempt alone.
func spread(job zonewire.Job) float64 {
	h := fnv.New64a()
	for _, n := range []int64{int64(job.Kind), job.ID, int64(job.Attempts)} {
		_, _ = h.Write(strconv.AppendInt(nil, n, 10)) // a hash takes every write
		_, _ = h.Write([]byte{'|'})
	}
	return float64(h.Sum64()>>11) / (1 << 53)
}

// replyLength bounds what is stored of a reply, in bytes.
const replyLength = 400

// tidy is the reply as it is stored: one line of clean text. Some servers speak GBK: what is no UTF-8 becomes "?".
func tidy(r Reply) string {
	text := strings.Join(strings.Fields(strings.ToValidUTF8(r.Text, "?")), " ")
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return -1
		}
		return c
	}, text)
	if len(text) > replyLength {
		text = strings.ToValidUTF8(text[:replyLength], "")
	}
	if r.Code == 0 {
		return r.Stage.String() + ": " + text
	}
	return text
}
