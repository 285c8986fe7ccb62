package outbox

import (
	"hash/fnv"
	"regexp"
	"strconv"
	"strings"
	"time"

	"zonewire"
)

// judge says what becomes of a delivery after a transaction.
func judge(r Reply, job zonewire.Job, to string, now time.Time) zonewire.Outcome {
	out := zonewire.Outcome{Code: r.Code, Enhanced: enhanced(r), Reply: tidy(r)}
	switch {
	case r.Accepted():
		out.State = zonewire.Accepted
	case r.Lost():
		out.State, out.Lost, out.Next = zonewire.Uncertain, true, now.Add(retryWait(job))
	case addressRefused(r, out.Enhanced, to):
		out.State = zonewire.Rejected
	default:
		out.State, out.Next = later(job, r.Text, now)
	}
	return out
}

// addressRefused reports whether the server refused the recipient for good. Servers answer 550 to rate limits, blocks
// and content too, so a code alone proves little: a text that speaks of us overrules it, and at MAIL, which names no
// recipient, nothing does.
func addressRefused(r Reply, enhanced, to string) bool {
	if r.Code/100 != 5 || r.Stage == StageMail {
		return false
	}
	// The text often repeats the address, in which anything may stand.
	text := strings.ReplaceAll(strings.ToLower(r.Text), strings.ToLower(to), "")
	if aboutUs.MatchString(text) {
		return false
	}
	if noMailbox.MatchString(text) {
		return true
	}
	switch enhanced {
	case "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1": // RFC 3463 section 3.2, RFC 7505 section 4.2
		return true
	case "", "5.0.0", "5.1.0", "5.5.0": // say nothing: the code decides, and only at RCPT does it mean the recipient
		return r.Stage == StageRcpt && (r.Code == 550 || r.Code == 551 || r.Code == 553 || r.Code == 501)
	}
	return false
}

var (
	// aboutUs finds texts about the sender: rate, reputation, content, authentication, relay; and those that ask to
	// come again. 550 "Mailbox unavailable or access denied" is one provider's rate limit.
	aboutUs = regexp.MustCompile(`\b(rate|frequency|frequently|limit(s|ed)?|too (many|much|fast)|exceed(s|ed)?|quota|spam|junk|` +
		`block(s|ed)?|block ?list(s|ed)?|black ?list(s|ed)?|banned|reputation|suspected|spf|dkim|dmarc|rdns|ptr|polic(y|ies)|content|` +
		`relay(ing)?|authenticat(ed|ion)|access denied|grey ?list(ed|ing)?|gray ?list(ed|ing)?|temporar(y|ily)|try (again|later)|later)\b|频率|垃圾`)
	// noMailbox finds texts that say that nobody lives there.
	noMailbox = regexp.MustCompile(`\b((user|mailbox|recipient|account|address)( \S+)?( is| was)? (unknown|not found|does not exist|doesn't exist|not exist)|` +
		`(unknown|no such|invalid|non-?existent) (user|mailbox|recipient|account|local part)|doesn't have an? \S+ account)\b`)
	// againIn finds how long a server asks to wait.
	againIn = regexp.MustCompile(`(?i)\b(?:again|retry|wait|gr[ae]y-?list(?:ed|ing)?)\b\D{0,40}(\d{1,5})\s*(s|m|h)(?:ec|econd|in|inute|r|our)?s?\b`)
)

// Bounds on what a server may ask for.
const (
	shortestWait = 10 * time.Second
	longestWait  = 12 * time.Hour
)

// later gives the time of the next try, or ends the delivery when its time is up.
func later(job zonewire.Job, text string, now time.Time) (zonewire.DeliveryState, time.Time) {
	next := now.Add(retryWait(job))
	if m := againIn.FindStringSubmatch(text); m != nil {
		n, err := strconv.Atoi(m[1])
		if err == nil { // always: at most five digits
			unit := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[strings.ToLower(m[2])]
			asked := min(max(time.Duration(n)*unit, shortestWait), longestWait)
			next = now.Add(asked + time.Duration(spread(job)*float64(asked)/5)) // never earlier than asked
		}
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

// enhanced reads the code of RFC 3463 at the start of the text. It must agree with the reply's class, else it is
// something else, such as an address of a host.
func enhanced(r Reply) string {
	word, _, _ := strings.Cut(strings.ReplaceAll(r.Text, "\n", " "), " ")
	parts := strings.Split(word, ".")
	if len(parts) != 3 || parts[0] != strconv.Itoa(r.Code/100) {
		return ""
	}
	for _, p := range parts[1:] {
		if _, err := strconv.ParseUint(p, 10, 16); err != nil || len(p) > 3 {
			return ""
		}
	}
	return word
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
