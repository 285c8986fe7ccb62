package bounce

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"

	"zonewire"
)

// report reads a mail that was written for machines; false if it is none. A multipart/report is known by its machine
// part alone: some gateways pack it up as multipart/mixed.
func report(m *mail) (zonewire.Bounce, bool) {
	for _, p := range m.own() {
		switch p.kind {
		case "message/delivery-status", "message/global-delivery-status":
			if b, ok := deliveryStatus(m, p.text()); ok {
				return b, true
			}
		case "message/feedback-report":
			return feedback(p.text()), true
		case "message/disposition-notification", "message/global-disposition-notification":
			return zonewire.Bounce{Kind: zonewire.BounceAuto}, true
		}
	}
	if m.kind == "multipart/report" && strings.EqualFold(m.param("report-type"), "disposition-notification") {
		return zonewire.Bounce{Kind: zonewire.BounceAuto}, true
	}
	return zonewire.Bounce{}, false
}

// deliveryStatus reads RFC 3464: a block about the mail, then one for each recipient. Our mails have one recipient; a
// report of several is about the members of a list behind it, and the failed ones decide. Where they failed for
// different reasons the address itself is no dead one, so the mildest stands for all.
func deliveryStatus(m *mail, text string) (zonewire.Bounce, bool) {
	var best zonewire.Bounce
	var failed, late, done []string
	for rest := []byte(text); len(rest) > 0 && len(failed) < 2*maxRecipients; {
		var block header
		before := len(rest)
		if block, rest = splitHeader(rest); len(rest) == before { // a line that is no field
			_, rest, _ = bytes.Cut(rest, []byte("\n"))
		}
		who := []string{typed(block.get("original-recipient")), typed(block.get("final-recipient"))}
		action := strings.ToLower(block.get("action"))
		if action == "" && who[1] != "" && strings.HasPrefix(block.get("status"), "5") {
			action = "failed"
		}
		switch {
		case strings.HasPrefix(action, "fail"):
			failed = append(failed, who...)
			b := failure(m, block).bounce()
			if who[0] != "" && !strings.EqualFold(who[0], who[1]) {
				b.Judgement.Sure = false // our recipient's mail is forwarded, and the end of that way is dead
			}
			if best.Kind == "" || milder(b.Judgement, best.Judgement) {
				best = b
			}
		case strings.HasPrefix(action, "delay"):
			late = append(late, who...)
		case action != "":
			done = append(done, who...)
		}
	}
	switch {
	case failed != nil:
		best.Recipients = failed
		return best, true
	case late != nil:
		return zonewire.Bounce{Kind: zonewire.BounceAuto, Recipients: late}, true
	case done != nil:
		return zonewire.Bounce{Kind: zonewire.BounceDelivered, Recipients: done}, true
	}
	return zonewire.Bounce{}, false
}

func milder(a, b zonewire.Judgement) bool {
	weight := func(j zonewire.Judgement) int {
		switch {
		case j.Sure:
			return 3
		case j.Verdict == zonewire.VerdictHard:
			return 2
		case j.Verdict == zonewire.VerdictMailbox:
			return 1
		}
		return 0
	}
	return weight(a) < weight(b)
}

var (
	addressType = regexp.MustCompile(`^[\w.-]+\s*;\s*`)
	codePoint   = regexp.MustCompile(`\\x\{([0-9A-Fa-f]{1,6})\}`)
)

// typed is the address of a field such as "rfc822; a@b.example", without its type and with the characters that
// RFC 6533 section 3 has to escape.
func typed(field string) string {
	s, _, _ := strings.Cut(addressType.ReplaceAllString(field, ""), " ") // a comment may follow
	s = strings.Trim(s, "<>")
	return codePoint.ReplaceAllStringFunc(s, func(escaped string) string {
		n, err := strconv.ParseInt(codePoint.FindStringSubmatch(escaped)[1], 16, 32)
		if err != nil {
			return escaped
		}
		return string(rune(n))
	})
}

// failure says what one recipient's block says. Behind a smarthost the status is a word of its own, mostly 5.0.0 or
// 5.7.1 for all that it does not know, while the diagnostic is the reply of the server that refused: so that one counts.
func failure(m *mail, block header) refusal {
	said := toText([]byte(block.get("diagnostic-code")), "")
	said = addressType.ReplaceAllString(said, "")
	if said == "" {
		said = beforeOriginal(m.words) // some repeat the reply for people only
	}
	f := reply(said)
	f.recipient = typed(block.get("final-recipient"))
	if f.recipient == "" {
		f.recipient = typed(block.get("original-recipient"))
	}
	if f.text == "" && block.get("diagnostic-code") != "" {
		f.text = said
	}
	if f.status == "" {
		f.status = statusCode.FindString(block.get("status"))
	}
	return f
}

// feedback reads RFC 5965. The types that it does not name are for a person; a failed authentication is about our
// domain and for an operator, who sees it by its text.
func feedback(text string) zonewire.Bounce {
	fields, _ := splitHeader([]byte(text))
	kind := strings.ToLower(strings.TrimSpace(fields.get("feedback-type")))
	b := zonewire.Bounce{Kind: zonewire.BounceComplaint, Text: kind}
	switch kind {
	case "abuse", "fraud", "virus", "other", "opt-out", "opt-out-list":
	case "not-spam":
		b.Kind = zonewire.BounceAuto
	case "auth-failure":
		b.Kind = zonewire.BounceAuto
		b.Text += " " + fields.get("auth-failure")
	default:
		b.Kind = zonewire.BounceUnknown
	}
	for _, f := range fields {
		if f.name == "original-rcpt-to" || f.name == "removal-recipient" {
			b.Recipients = append(b.Recipients, typed(f.value))
		}
	}
	return b
}
