package provider

import (
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"zonewire"
)

// Judge says what a refusal means. It knows no state: the same refusal is always judged the same.
func Judge(r Refusal) zonewire.Judgement {
	w := read(r)
	j := w.judge()
	if r.Code != 0 && j.Verdict != hard {
		if asked := waitIn(w.text); asked > 0 {
			j.Wait = asked
		}
	}
	return j
}

// words is a refusal prepared for the rules.
type words struct {
	group   string
	stage   Stage
	code    int
	digits  string // of the code
	status  string // of RFC 3463
	text    string // valid UTF-8 in lower case: no address, no status, of links the host, single spaces
	another bool   // it names addresses, but not the recipient's
}

// textLength bounds what is read of a text, in bytes: what a server means stands at the beginning.
const textLength = 4 << 10

var (
	link       = regexp.MustCompile(`\bhttps?://([a-z0-9.-]+)[!-~]*`)
	statusCode = regexp.MustCompile(`(?:\b[245]\d\d[ -])?#?\b[245]\.\d{1,3}\.\d{1,3}\b`)
	// stated finds a status where one is stated: at the beginning, after the reply code, or as qmail writes it.
	stated = regexp.MustCompile(`(?:^|\b[245]\d\d[ -]|#)([245]\.\d{1,3}\.\d{1,3})\b`)
	// postfixTable is how Postfix names the table in which it looked: "User unknown in relay recipient table".
	postfixTable = regexp.MustCompile(` in (?:local|relay|virtual) (?:recipient|mailbox|alias) (?:table|maps?)\b`)
	// inReplyTo is how Postfix and Exim tell in a report which command was refused.
	inReplyTo = regexp.MustCompile(`\(?\b(?:in reply to|error from remote mail server after)(?: pipelined)? ` +
		`(end of data|data|mail from|rcpt to|[eh][eh]lo|initial connection)(?: command)?\)?`)
)

var reportedStage = map[string]Stage{
	"end of data": Dot, "data": Data, "mail from": Mail, "rcpt to": Rcpt, "ehlo": Connect, "helo": Connect, "initial connection": Connect,
}

// hosts tells who speaks for a domain of somebody else's.
var hosts = []struct {
	text  *regexp.Regexp
	group string
}{
	{regexp.MustCompile(`\bgsmtp\b`), Gmail}, // ends each of its replies
	{regexp.MustCompile(`\b(prod|protection)\.outlook\.com\b`), Outlook},
	{regexp.MustCompile(`\b(mail|exmail|mx\d)\.qq\.com\b`), QQ},
	{regexp.MustCompile(`\b(mail|qiye)\.163\.com\b`), NetEase},
	{regexp.MustCompile(`\byahoodns\.net\b`), Yahoo},
}

// read prepares a refusal.
func read(r Refusal) words {
	w := words{group: r.Provider, stage: r.Stage, code: r.Code, digits: strconv.Itoa(r.Code)}
	text := r.Text
	if !utf8.ValidString(text) {
		// Chinese systems speak GBK. The decoder never fails: it writes U+FFFD.
		text, _ = simplifiedchinese.GB18030.NewDecoder().String(text)
	}
	if len(text) > textLength {
		text = strings.ToValidUTF8(text[:textLength], "")
	}
	text = strings.Join(strings.Fields(strings.ReplaceAll(strings.ToLower(text), "’", "'")), " ")
	w.status = statusOf(r, text)

	text = link.ReplaceAllString(text, " $1 ")
	text, own, other := scrub(text, r.Address, "")
	w.another = other && !own
	text = strings.NewReplacer("<>", "", `""`, "", "''", "").Replace(text)
	if m := inReplyTo.FindStringSubmatch(text); m != nil && w.stage == Report {
		w.stage = reportedStage[m[1]]
	}
	text = inReplyTo.ReplaceAllString(text, "")
	text = statusCode.ReplaceAllString(text, "")
	text = postfixTable.ReplaceAllString(text, "")
	w.text = strings.Join(strings.Fields(text), " ")

	if _, known := limits[w.group]; !known {
		for _, host := range hosts {
			if host.text.MatchString(w.text) {
				w.group = host.group
				break
			}
		}
	}
	return w
}

// statusOf gives the status that says most: behind a relay "550 5.1.1" often arrives as status 5.0.0.
func statusOf(r Refusal, text string) string {
	if !vague(r.Enhanced) {
		return r.Enhanced
	}
	for _, m := range stated.FindAllStringSubmatch(text, -1) {
		if !vague(m[1]) && (r.Code == 0 || m[1][:1] == strconv.Itoa(r.Code/100)) {
			return m[1]
		}
	}
	return r.Enhanced
}

// vague reports whether a status says nothing: other (x.0.0), other address (x.1.0), other protocol (x.5.0), or none.
func vague(status string) bool {
	_, detail, _ := strings.Cut(status, ".")
	return detail == "" || detail == "0.0" || detail == "1.0" || detail == "5.0"
}

// judge applies the rules.
func (w words) judge() zonewire.Judgement {
	for _, layer := range rules {
		for _, rule := range layer {
			if w.admits(rule.verdict) && w.fits(rule) {
				return w.judgement(rule)
			}
		}
	}
	return zonewire.Judgement{Verdict: w.byCode()}
}

// fits reports whether a rule speaks of this refusal.
func (w words) fits(r rule) bool {
	return (r.group == "" || r.group == w.group) && strings.HasPrefix(w.digits, r.code) &&
		(r.status == nil || r.status.MatchString(w.status)) && (r.text == nil || r.text.MatchString(w.text))
}

// admits reports whether stage and code can mean a verdict at all.
func (w words) admits(v zonewire.Verdict) bool {
	replied := w.code >= 400 || w.code == 0 && w.stage == Report // a report may have lost the code
	aboutReader := w.stage != Connect && w.stage != Mail
	switch v {
	case hard:
		return aboutReader && w.code/100 == 5
	case mailbox:
		return aboutReader && replied && w.code != 421
	case policy, rate:
		// What is refused at the login is the relay's affair, not a provider's.
		return replied && (w.stage != Connect || w.code/10 != 53)
	}
	return true
}

// judgement is what a rule that fits means here.
func (w words) judgement(r rule) zonewire.Judgement {
	if r.verdict != hard {
		return zonewire.Judgement{Verdict: r.verdict, Wait: r.wait}
	}
	if excuse.MatchString(w.text) {
		return zonewire.Judgement{Verdict: network}
	}
	sure := r.sure == plain || r.sure == agreed && addressStatus.MatchString(w.status)
	here := w.stage == Rcpt || w.stage == Report
	return zonewire.Judgement{Verdict: hard, Sure: sure && here && !w.another}
}

// addressStatus has the codes that speak of an address and not of its domain (RFC 3463 section 3.2, RFC 7505).
var addressStatus = regexp.MustCompile(`^5\.1\.([136]|10)$`)

// byCode judges by what is left when neither words nor status said anything (RFC 5321 section 4.2.3).
func (w words) byCode() zonewire.Verdict {
	switch {
	case w.code/100 != 5, w.stage == Connect, excuse.MatchString(w.text):
		return network
	case w.code == 500, w.code == 502, w.code == 503, w.code == 504: // out of step, or a command that it does not know
		return network
	case w.stage == Mail, w.stage == Data, w.stage == Dot:
		return policy
	case !vague(w.status):
		return network
	}
	switch w.code {
	case 550, 551, 553, 556: // 556: the domain takes no mail (RFC 7504)
		return hard
	case 501: // the one argument of RCPT is the address
		if w.stage == Rcpt {
			return hard
		}
	case 552: // storage allocation; after DATA it is said of big messages, too
		if w.stage == Rcpt {
			return mailbox
		}
	}
	return network
}

// Bounds on what a server may ask for.
const (
	shortestWait = 10 * time.Second
	longestWait  = 12 * time.Hour
)

var (
	// againIn finds how long a server asks to wait: "try again in 300 seconds", "greylisted for 5 minutes".
	againIn = regexp.MustCompile(`\b(?:again|retry|wait|back|gr[ae]y-?list(?:ed|ing)?)\b\D{0,40}(\d{1,5})\s*(s|m|h)(?:ec|econd|in|inute|r|our)?s?\b`)
	// againAfter finds the same without a unit: seconds.
	againAfter = regexp.MustCompile(`\b(?:again|retry)(?: after| in)? (\d{1,5})()(?:[.,;)]|$)`)
	// againClock is milter-greylist's "come back in 00:04:59".
	againClock = regexp.MustCompile(`\b(?:again|retry|back)\b\D{0,40}\b(\d\d):(\d\d):(\d\d)\b`)
	againHan   = regexp.MustCompile(`(\d{1,5})\s*(秒|分|小时)钟?(?:之?[后後]|再)`)
)

var units = map[string]time.Duration{
	"": time.Second, "s": time.Second, "秒": time.Second, "m": time.Minute, "分": time.Minute, "h": time.Hour, "小时": time.Hour,
}

// waitIn reads how long a text asks to wait; 0 if it does not.
func waitIn(text string) time.Duration {
	if m := againClock.FindStringSubmatch(text); m != nil {
		return bound(count(m[1])*time.Hour + count(m[2])*time.Minute + count(m[3])*time.Second)
	}
	for _, asks := range []*regexp.Regexp{againIn, againAfter, againHan} {
		if m := asks.FindStringSubmatch(text); m != nil {
			return bound(count(m[1]) * units[m[2]])
		}
	}
	return 0
}

// count reads digits that a pattern has found.
func count(digits string) time.Duration {
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0 // never: at most five digits
	}
	return time.Duration(n)
}

func bound(wait time.Duration) time.Duration { return min(max(wait, shortestWait), longestWait) }

// Enhanced reads the code of RFC 3463 at the start of a reply's text. It must agree with the reply's class, else it is
// something else, such as an address of a host.
func Enhanced(code int, text string) string {
	word, _, _ := strings.Cut(strings.ReplaceAll(text, "\n", " "), " ")
	parts := strings.Split(word, ".")
	if len(parts) != 3 || parts[0] != strconv.Itoa(code/100) {
		return ""
	}
	for _, p := range parts[1:] {
		if _, err := strconv.ParseUint(p, 10, 16); err != nil || len(p) > 3 {
			return ""
		}
	}
	return word
}

// Redact is the text without the address and without anything that looks like one, for what operators read: each
// becomes "(address)".
func Redact(text, address string) string {
	text, _, _ = scrub(text, address, "(address)")
	return text
}

var (
	// asciiAddress comes first, since Chinese leaves no space around an address. %40 is one in a link.
	asciiAddress = regexp.MustCompile("(?:\"[^\"\\n]{1,64}\"|[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+)(?:@|%40)" +
		"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\\[[0-9A-Za-z.:]+\\])")
	wideAddress = regexp.MustCompile(`[\p{L}\p{N}!#$%&'*+/=?^_{|}~.-]+@[\p{L}\p{N}](?:[\p{L}\p{N}.-]*[\p{L}\p{N}])?`)
)

// scrub puts something else for each address in a text, and tells whether it found the given one, and others.
func scrub(text, address, instead string) (out string, own, other bool) {
	replace := func(found string) string {
		if strings.EqualFold(found, address) {
			own = true
		} else {
			other = true
		}
		return instead
	}
	text = asciiAddress.ReplaceAllStringFunc(text, replace)
	text = wideAddress.ReplaceAllStringFunc(text, replace)
	if strings.Contains(address, "@") { // what a pattern did not see, such as spaces in a quoted local part
		for i := 0; i+len(address) <= len(text); i++ {
			if strings.EqualFold(text[i:i+len(address)], address) {
				text, own = text[:i]+instead+text[i+len(address):], true
				i += len(instead) - 1
			}
		}
	}
	return text, own, other
}
