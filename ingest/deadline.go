package ingest

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"zonewire"
)

// Deadline finds when what an article announces closes: a call for tenders or offers, an application, a registration, a
// recruitment, a consultation, a public notice (公示). With day only the civil day is known, whose first moment in +08:00
// it is. It answers false for an article that announces no closing.
//
// The rules, since an article names many dates:
//
//   - A date counts by the words around it, never alone: "投标截止时间：…", "报名时间：…至…", "即日起至…", "请于…前报送".
//     What only tells of a period (截至10月底，产值…), of work (工期) or of handing out files (获取招标文件) is no closing.
//   - Words that can stand in any news count only if the title or the opening is that of a call.
//   - Of several the kind decides, in the order of the ranks below; within a kind the earliest, since who misses it misses
//     something. In a notice of correction (更正, 延期) it is the latest, and what it is changed to goes before all.
//   - A date without a year is in the year of publication, or in the next if it were more than a month ago by then.
//   - What had passed when the article was published, or lies more than two years ahead, is none.
//   - An article that was dated by its arrival tells no year and bounds nothing below: only dates with a year count then, so
//     that reading it again later finds the same.
func Deadline(a zonewire.Article) (t time.Time, day bool, ok bool) {
	if !mayClose(a) {
		return time.Time{}, false, false
	}
	c := callOf(a)
	if c.over {
		return time.Time{}, false, false
	}
	var found []closing
	last := noClosing
	for _, m := range mentions(c.text, a.Published, a.Suspect) {
		r := noClosing
		if inTime(m, a) || c.corrected {
			r = c.rank(m)
		}
		if c.corrected && r == noClosing && c.beside(m) {
			r = last // the column behind "更正前"
		}
		if last = r; r != noClosing && inTime(m, a) {
			found = append(found, closing{m, r})
		}
	}
	if len(found) == 0 {
		return time.Time{}, false, false
	}
	best := slices.MinFunc(found, func(x, y closing) int { return x.compare(y, c.corrected) })
	return best.t, best.day, true
}

// rank says how surely a date is the closing, the surest first.
type rank int

const (
	changedTo rank = iota // 截止时间变更为…, 延期至…
	bidClosing
	otherClosing // of registrations, applications, contributions
	plainClosing // 截止时间：…, deadline: …
	periodEnd    // 报名时间：…至…, 即日起至…
	askedBefore  // 请于…前报送
	bidOpening   // 开标时间：offers are due by then
	noClosing
)

// closing is a date of the text that is one.
type closing struct {
	mention
	rank rank
}

// compare puts the one to be taken first. Of one day, that with a time of day is better known.
func (x closing) compare(y closing, latest bool) int {
	days := strings.Compare(x.t.Format(time.DateOnly), y.t.Format(time.DateOnly))
	if latest {
		days = -days
	}
	known := 0
	if x.day != y.day {
		known = 1
		if y.day {
			known = -1
		}
	}
	return cmp.Or(cmp.Compare(x.rank, y.rank), days, known, x.t.Compare(y.t))
}

// inTime reports whether the article can have announced it.
func inTime(m mention, a zonewire.Article) bool {
	if m.t.After(a.Published.AddDate(2, 0, 0)) {
		return false
	}
	closes := zonewire.Article{Deadline: m.t, DeadlineDay: m.day}.Closes()
	return a.Suspect || closes.After(a.Published)
}

// mayClose passes over what is no call and names no closing in so many words, since most news is and does not.
func mayClose(a zonewire.Article) bool {
	title := foldLine(a.Title)
	return callWords.MatchString(title) || noticeWords.MatchString(title) || callWords.MatchString(foldLine(a.Summary)) ||
		namesClosing(a.Summary) || namesClosing(a.ContentHTML)
}

// namesClosing reports whether a text has a word for a closing that needs no call beside it. It looks at all of every
// article that is no call, so it goes through it once, by first letters and not by patterns.
func namesClosing(s string) bool {
	for i := 0; i < len(s); i++ {
		lead := s[i]
		if lead < utf8.RuneSelf {
			if words := closingByLetter[lead]; words != nil && beginsWithAny(s[i:], words) {
				return true
			}
			continue
		}
		if lead < 0xe0 || i+3 > len(s) { // no Chinese character begins here
			continue
		}
		switch s[i : i+3] {
		case "截":
			if strings.HasPrefix(s[i:], "截标") || holdsAny(s[runeAt(s, i-60):i], closedWords) {
				return true
			}
		case "报", "申", "征", "受", "投", "公":
			if beginsWithAny(s[i:], closingWords) {
				return true
			}
		}
		i += 2
	}
	return false
}

func beginsWithAny(s string, words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(s, w) })
}

func holdsAny(s string, words []string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(s, w) })
}

// call is an article as it is searched.
type call struct {
	text      string // title, summary and body, folded
	titled    bool   // the title is that of a call or of a notice
	opened    bool   // the title or the opening speak of a call
	result    bool   // it tells how a call ended: only what may be said against it is still open
	corrected bool   // it changes an earlier one
	over      bool   // it ends one
}

func callOf(a zonewire.Article) call {
	title := foldLine(a.Title)
	body := foldLine(bodyText(a.ContentHTML))
	begin := title + "\n" + foldLine(a.Summary) + "\n" + truncate(body, 500)
	return call{
		// What ends with the title or the summary does not go on in what follows.
		text:      title + "。\n" + foldLine(a.Summary) + "。\n" + body,
		titled:    callWords.MatchString(title) || noticeWords.MatchString(title),
		opened:    callWords.MatchString(begin),
		result:    resultWords.MatchString(title),
		corrected: correctionWords.MatchString(title),
		over:      overWords.MatchString(title),
	}
}

// rank judges a date by what stands before and behind it.
func (c call) rank(m mention) rank {
	left, right := m.around(c.text)
	r := c.rankOf(m, left, right)
	if c.result && r != noClosing && !objectionWords.MatchString(left+right) {
		return noClosing
	}
	return r
}

func (c call) rankOf(m mention, left, right string) rank {
	bare := parens.ReplaceAllString(left, "")
	ends := func(label label) bool { return label.MatchString(left) || label.MatchString(bare) }
	till := tillAfter.MatchString(right)
	before := beforeAfter.MatchString(right)
	asOf := asOfLabel.MatchString(bare)
	english := preTime.ReplaceAllString(left, "")
	switch {
	case ends(notClosingLabel) || ends(formerLabel) || asOf && asOfCount.MatchString(right):
		return noClosing
	case ends(changeLabel):
		return c.rankChanged(m)
	case ends(bidLabel):
		return bidClosing
	case ends(otherLabel):
		return otherClosing
	case ends(plainLabel) && c.opened, englishLabel.MatchString(english) && c.opened:
		return plainClosing
	}
	ranged := m.ranged
	if heldAfter.MatchString(right) || fetchAfter.MatchString(right) {
		return noClosing
	}
	if since := sinceLabel.FindStringIndex(left); since != nil {
		fromNow := fromNowWords.MatchString(left[since[0]:])
		left = left[:since[0]]
		bare = parens.ReplaceAllString(left, "")
		switch {
		case ends(notClosingLabel):
			return noClosing
		case ends(periodLabel), fromNow && c.titled:
			return periodEnd
		}
		ranged = ranged || till
	}
	switch {
	case ends(periodLabel) && (ranged || till || before):
		return periodEnd
	case asOf && c.opened && strings.IndexAny(right, "】)]") == 0: // 【截止12月5日】
		return plainClosing
	case asOf:
		return noClosing
	case shutsAfter.MatchString(right) && c.opened && takesIn.MatchString(left):
		return plainClosing
	case ranged && till && c.titled:
		return periodEnd
	case before && c.titled && asksFor(right):
		return askedBefore
	case englishBefore.MatchString(english) && c.titled:
		return askedBefore
	case ends(openingLabel) && c.opened:
		return bidOpening
	}
	return noClosing
}

// beside reports whether nothing stands between a date and the one before it, as in a table.
func (c call) beside(m mention) bool {
	return m.after > 0 && strings.Trim(c.text[m.after:m.from], " \n->→|") == ""
}

// rankChanged judges what a date is changed to by what is changed, which stands earlier in the sentence.
func (c call) rankChanged(m mention) rank {
	sentence := m.sentence(c.text)
	if clause := sentence[strings.LastIndexByte(sentence, ',')+1:]; changeable.MatchString(clause) {
		sentence = clause
	}
	if handingOut.MatchString(sentence) && !handingIn.MatchString(sentence) || !changeable.MatchString(sentence) && !c.corrected {
		return noClosing
	}
	return changedTo
}

// asksFor reports whether the first thing to be done by a date is to hand something in.
func asksFor(right string) bool {
	first := doneBefore.FindStringSubmatch(right)
	return first != nil && first[1] != ""
}

// setDeadline takes the closing that the publisher gave, in any form that ParseDate reads; "none" and "无" say that there is
// none. What is no date, has no year or cannot be is ignored, and as without any the text is searched.
func setDeadline(a *zonewire.Article, given string, opts Options, warn func(string, ...any)) {
	given = line(given)
	d, ok := parseDate(given, opts.Now)
	switch shown := truncate(given, 60); {
	case given == "":
	case fold(given) == "none" || given == "无":
		return
	case !ok:
		warn("deadline %q is no date and is ignored", shown)
	case d.noYear:
		warn("deadline %q has no year and is ignored", shown)
	case d.t.Year() < 1990 || d.t.After(opts.Now.AddDate(20, 0, 0)):
		warn("deadline %q is too long ago or too far ahead and is ignored", shown)
	default:
		a.Deadline, a.DeadlineDay = d.t.In(zonewire.Shanghai), d.p == zonewire.PrecisionDay
		return
	}
	a.Deadline, a.DeadlineDay, _ = Deadline(*a)
}

// bodyText is the text of a body, its blocks on lines.
func bodyText(markup string) string {
	const enough = 256 << 10
	var text strings.Builder
	for markup != "" && text.Len() < enough {
		words, rest := cutText(markup)
		text.WriteString(unescape(words))
		if rest == "" {
			break
		}
		t, after, ok := cutTag(rest)
		if !ok {
			text.WriteString(PlainText(rest))
			break
		}
		if blockElements[t.name] {
			text.WriteByte('\n')
		}
		markup = after
	}
	return text.String()
}
