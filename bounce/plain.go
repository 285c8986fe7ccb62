package bounce

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"zonewire"
)

// anyOf finds any of the patterns, in any case.
func anyOf(patterns ...string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)` + strings.Join(patterns, "|"))
}

// Words by which old servers and Chinese providers say that a mail did not arrive, or not yet.
var (
	failureWords = anyOf(
		`undeliver|non-?delivery|(?:not|not be|n't be) delivered|did not reach|returned (?:mail|to sender)`,
		`delivery (?:to the following .{0,40})?(?:has )?fail|delivery (?:problem|error)|delivery status notification`,
		`returning (?:your )?m(?:ail|essage)|failure notice|fail(?:ed|ure) (?:to )?deliver`,
		`(?:could|can)(?:n't| ?not) (?:deliver|send|be sent)|unable to deliver|wasn't able to deliver`,
		`mail(?:er)? (?:delivery )?(?:system )?error|permanent (?:fatal )?error|address not found|unknown user|no such user|user unknown`,
		`nicht zugestellt|unzustellbar|non remis|no se ha podido entregar`,
		`退信|退件|退回|(?:投[递遞]|[递遞]送|[传傳]送|[发發]送)失[败敗]`,
		`(?:[无無]法|未能)(?:投[递遞]|送[达達]|[传傳]送|[传傳][递遞]|[发發]送)`,
		`配信(?:不能|エラー|できません)|送信できません|届けられません`,
	)
	delayWords = anyOf(
		`warning message only|not need to resend|has not yet been delivered|will (?:keep|continue) (?:on )?try`,
		`will be retried|still being retried|delivery (?:is |has been )?delayed|message delayed|\(delay\)`,
		`延[迟遲](?:投[递遞]|通知)|[继繼][续續][尝嘗][试試]|[暂暫][时時](?:[无無]法|未能)投[递遞]|(?:不需要|[无無]需)重新?[发發]`,
	)
	// A line that begins the copy of the original. Sendmail's "original message was received" is none.
	originalLine = regexp.MustCompile(`(?im)^[ \t]*(?:` + strings.Join([]string{
		`-{2,}.*(?:copy of (?:the|your)|message follows|header follows|original message|原始?[邮郵]件|原信|[邮郵]件原文)`,
		`original message headers|unsent message below|原始邮件头|原邮件内容`,
	}, "|") + `).*$`)
)

// daemons are the local parts, without dots and dashes, that no person writes from.
var daemons = []string{"mailerdaemon", "postmaster", "maildaemon", "mdaemon", "mailsystem", "mailerror", "bounce", "bounces"}

func (m *mail) fromDaemon() bool {
	local := strings.ToLower(localPart(m.from))
	local = strings.NewReplacer(".", "", "-", "", "_", "").Replace(local)
	return slices.Contains(daemons, local) || strings.HasPrefix(local, "microsoftexchange") // and 32 hexadecimal digits
}

// plainBounce reads a bounce that was written for people. A null sender alone is none: absences have it as well
// (RFC 3834 section 3.3), so then the words of failure must stand in the subject, where a person's words do not.
func plainBounce(m *mail) (zonewire.Bounce, bool) {
	words := beforeOriginal(m.words)
	failed := m.header.get("x-failed-recipients")
	switch {
	case failed != "": // Exim
	case m.fromDaemon() && failureWords.MatchString(m.subject+"\n"+words):
	case m.nullSender && failureWords.MatchString(m.subject):
	case m.fromDaemon() && delayWords.MatchString(m.subject+"\n"+words):
	default:
		return zonewire.Bounce{}, false
	}
	who := anyAddress.FindAllString(failed, maxRecipients)
	if who == nil {
		who = m.refused(words)
	}
	if delayWords.MatchString(m.subject + "\n" + words) {
		return zonewire.Bounce{Kind: zonewire.BounceAuto, Recipients: who}, true
	}
	f := reply(words)
	if f.text == "" {
		f.text = reason(m.subject, words)
	}
	if len(who) > 0 {
		f.recipient = who[0]
	}
	b := f.bounce()
	b.Recipients = who
	return b, true
}

func beforeOriginal(words string) string {
	if at := originalLine.FindStringIndex(words); at != nil {
		return words[:at[0]]
	}
	return words
}

var (
	loneAddress = regexp.MustCompile(`(?m)^[ \t]*<?(` + anyAddress.String() + `)>?[ \t]*(?:[:：(]|$)`)
	namedAs     = regexp.MustCompile(`(?i)(?:recipient|rcpt to|收[件信]人|\bto\b)[^\n@:：]{0,20}[:：]?\s*[^\n@:：]{0,60}?(` + anyAddress.String() + `)`)
)

// refused finds the one recipient in the text: alone on its line, as qmail, Postfix, Sendmail and Exim write it; named
// as the recipient; or the first address that is not the daemon's or ours.
func (m *mail) refused(words string) []string {
	for _, pattern := range []*regexp.Regexp{loneAddress, namedAs, anyAddress} {
		for _, found := range pattern.FindAllStringSubmatch(words, maxRecipients) {
			who := found[len(found)-1]
			if domain := domainOf(who); !strings.Contains(domain, ".") || strings.EqualFold(who, m.from) || strings.EqualFold(domain, domainOf(m.to)) ||
				ourSender.MatchString(who) || ourMail.MatchString(who) || pattern != loneAddress && gathers(who) {
				continue
			}
			return []string{who}
		}
	}
	return nil
}

var (
	statusCode = regexp.MustCompile(`\b[245]\.\d{1,3}\.\d{1,3}\b`)
	// A reply code counts only where a reply can be: followed by a status, or at the head of something. A text is full
	// of numbers.
	codeAndStatus = regexp.MustCompile(`(?m)(?:^|[^\w.\-/#=])([45][0-7]\d)[ \-]+[#(\[]?([45]\.\d{1,3}\.\d{1,3})\b`)
	codeAlone     = regexp.MustCompile(`(?im)(?:^[ \t]*|[:：，。、；;"'“(\[>]\s*|(?:said|error|code|returned|responded|reply|返回|代码|[错錯][误誤])\s*)` +
		`([45][0-7]\d)(?:[ \-]+|\s*[:：,]\s*)[^\s\d.]`)
	statusAlone = regexp.MustCompile(`(?m)(?:^|[\s#(\[:：])([45]\.\d{1,3}\.\d{1,3})(?:[\s)\],;:：]|\.?$)`)
)

// reply finds what a server answered in a text around it: code, status and words. Its text begins behind the code, as
// that of a reply in a session does; all is empty if there is none.
func reply(s string) refusal {
	if at := codeAndStatus.FindStringSubmatchIndex(s); at != nil {
		f := refusal{status: s[at[4]:at[5]]}
		f.code, _ = strconv.Atoi(s[at[2]:at[3]]) // three digits
		f.text = paragraph(s, at[2], f.code)
		f.text = strings.NewReplacer(" "+s[at[2]:at[3]]+"-"+f.status+" ", " ", " "+s[at[2]:at[3]]+" "+f.status+" ", " ").Replace(f.text)
		return f
	}
	if at := codeAlone.FindStringSubmatchIndex(s); at != nil {
		code, _ := strconv.Atoi(s[at[2]:at[3]])
		f := refusal{code: code, text: paragraph(s, at[2], code)}
		f.text = strings.ReplaceAll(f.text, " "+s[at[2]:at[3]]+"-", " ")
		if status := statusAlone.FindStringSubmatch(f.text); status != nil {
			f.status = status[1] // (#5.1.1)
		}
		return f
	}
	if at := statusAlone.FindStringSubmatchIndex(s); at != nil {
		return refusal{status: s[at[2]:at[3]], text: strings.TrimSpace(s[strings.LastIndexByte(s[:at[2]], '\n')+1 : endOfLine(s, at[2])])}
	}
	return refusal{}
}

func endOfLine(s string, at int) int {
	if n := strings.IndexByte(s[at:], '\n'); n >= 0 {
		return at + n
	}
	return len(s)
}

// maxReply is how much of a reply is judged, in bytes.
const maxReply = 2000

// paragraph is what follows the code at s[at:], with the lines that go on with it: those that repeat the code, and those
// of the same indented block.
func paragraph(s string, at, code int) string {
	start := strings.LastIndexByte(s[:at], '\n') + 1
	depth := indent(s[start:])
	end := endOfLine(s, at)
	text := s[at+3 : end]
	for end < len(s) && len(text) < maxReply {
		next := s[end+1 : endOfLine(s, end+1)]
		trimmed := strings.TrimSpace(next)
		if trimmed == "" || !strings.HasPrefix(trimmed, strconv.Itoa(code)) && indent(next) < max(depth, 1) {
			break
		}
		text += " " + trimmed
		end += 1 + len(next)
	}
	text = line(strings.TrimLeft(text, "-:：, "), maxReply)
	for _, pair := range []string{"()", "<>", "[]"} { // the code stood within
		if !strings.Contains(text, pair[:1]) {
			text = strings.TrimSuffix(text, pair[1:])
		}
	}
	return text
}

func indent(s string) int { return len(s) - len(strings.TrimLeft(s, " \t")) }

var reasonLabel = regexp.MustCompile(`(?im)(?:reason|原因|diagnostic|error)[^\n:：]{0,20}[:：]\s*(\S[^\n]*)`)

// reason is the words for a failure without any code: those called so, else the line that speaks of it.
func reason(subject, words string) string {
	if m := reasonLabel.FindStringSubmatch(words); m != nil {
		return m[1]
	}
	if at := failureWords.FindStringIndex(words); at != nil {
		return words[strings.LastIndexByte(words[:at[0]], '\n')+1 : endOfLine(words, at[0])]
	}
	return subject
}
