package ingest

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"zonewire"
)

// mention is a date in a text.
type mention struct {
	t      time.Time // in +08:00
	day    bool      // no time of day is given
	ranged bool      // it ends a period whose begin stands before it

	from, to    int // where it stands; of a period, from where that begins
	after       int // where the mention before it ends
	hasYear     bool
	year, month int
}

const (
	weekdayPattern = `(?:\s*\(?\s*(?:星期|礼拜|周)[一二三四五六日天]\s*\)?)?`
	hourPattern    = `(上午|下午|中午|晚上|晚|凌晨|早上|早|am|pm)?\s*(\d{1,2})\s*(?:[:时点]\s*(半|\d{1,2})?\s*分?(?:\s*:\s*(\d{1,2})|\s*(\d{1,2})\s*秒)?)\s*(am|pm|整)?`
	// The time of day that follows a date.
	timePattern = `(?:` + weekdayPattern + `[\s,]*\(?(?:北京时间)?[\s:t]*` + hourPattern + `(?:\s*(?:至|到|-|~)\s*` + hourPattern + `)?)?`
	englishTime = `(?:[\s,]*(?:at|by)?\s*()(\d{1,2})(?:[:.](\d{2}))?()()\s*(am|pm|hrs|hours)?\b)?`
)

// What is a date in a text: with a year in any form, without one only as 月日, and in English. The groups are year, month
// and day; then the clock.
var (
	textDate = regexp.MustCompile(`^(?:(20\d{2})\s*[-/.年]\s*)?(\d{1,2})\s*([-/.月])\s*(?:(\d{1,2})\s*([日号]?)|(底|末))` + timePattern)
	laterDay = regexp.MustCompile(`^\s*起?\s*(?:至|到|-|~)\s*(\d{1,2})\s*[日号]` + timePattern)
	dayMonth = regexp.MustCompile(`\b(\d{1,2})(?:st|nd|rd|th)?\s+(?:of\s+)?` + monthPattern + `,?\s+(20\d{2})` + englishTime)
	monthDay = regexp.MustCompile(`\b` + monthPattern + `\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(20\d{2})` + englishTime)
	preTime  = regexp.MustCompile(`\b(\d{1,2})(?:[:.](\d{2}))?\s*(am|pm|hrs|hours|:)?\s*(?:\([^()]{0,40}\))?\s*,?\s*(?:on\s+)?$`)
	joins    = regexp.MustCompile(`^\s*(?:\([^()]{0,30}\))?\s*(?:起|开始)?\s*(?:至|到|-+|~)\s*$`)
)

// maxMentions bounds how many dates of one text are looked at.
const maxMentions = 300

// mentions finds the dates of a folded text. One without a year is taken by the date of publication; if that is a guess,
// it is left out.
func mentions(text string, published time.Time, guess bool) []mention {
	var found []mention
	last := mention{}
	add := func(p parts) bool {
		if p.at[0] < last.to || hasAnyPrefix(text[p.at[1]:], "…", "...") {
			return false // it is part of the one before, or a summary breaks off in it
		}
		m, ok := p.mention(last, published)
		if !ok {
			return false
		}
		found, last = append(found, m), m
		return true
	}
	for _, p := range dates(text) {
		if add(p) && last.year > 0 {
			if at := shifted(laterDay.FindStringSubmatchIndex(text[last.to:]), last.to); at != nil {
				add(parts{text: text, at: at, year: last.year, month: last.month, day: cut(text, at, 1), clock: 2, later: true})
			}
		}
	}
	if guess {
		found = slices.DeleteFunc(found, func(m mention) bool { return !m.hasYear })
	}
	return found
}

// parts are the parts of one date as a pattern has found them.
type parts struct {
	text        string
	at          []int // of the submatches
	year, month int   // year 0: none is given
	next        bool  // the year after that of publication is meant
	day         string
	clock       int  // number of the clock's first group
	later       bool // of the month before it: a day that ends a period
	english     bool
}

func cut(text string, at []int, group int) string {
	if 2*group+1 >= len(at) || at[2*group] < 0 {
		return ""
	}
	return text[at[2*group]:at[2*group+1]]
}

func shifted(at []int, by int) []int {
	for i := range at {
		if at[i] >= 0 {
			at[i] += by
		}
	}
	return at
}

// dates finds what looks like a date, in the order of the text.
func dates(text string) []parts {
	var all []parts
	for at := 0; at < len(text) && len(all) < maxMentions; {
		if !isDigit(text[at]) {
			at++
			continue
		}
		n := 1
		for at+n < len(text) && isDigit(text[at+n]) {
			n++
		}
		p, ok := dateAt(text, at, n)
		if at += n; ok {
			all, at = append(all, p), p.at[1]
		}
	}
	if !hasMonthName(text) {
		return all
	}
	english := func(re *regexp.Regexp, day, month int) {
		for _, g := range re.FindAllStringSubmatchIndex(text, maxMentions) {
			n, _ := monthNumber(cut(text, g, month))
			all = append(all, parts{text: text, at: g, year: number(cut(text, g, 3)), month: n, day: cut(text, g, day), clock: 4, english: true})
		}
	}
	english(dayMonth, 1, 2)
	english(monthDay, 2, 1)
	slices.SortStableFunc(all, func(a, b parts) int { return cmp.Compare(a.at[0], b.at[0]) })
	return all
}

// dateAt is the date that begins with a number of n digits. 1.5, 3-5 and 12月5家 are none.
func dateAt(text string, at, n int) (parts, bool) {
	sign := strings.TrimLeft(text[at+n:min(at+n+8, len(text))], " \n")
	if n != 1 && n != 2 && n != 4 || !hasAnyPrefix(sign, "月", "年", "-", "/", ".") {
		return parts{}, false
	}
	g := textDate.FindStringSubmatchIndex(text[at:])
	if g == nil {
		return parts{}, false
	}
	g = shifted(g, at)
	p := parts{text: text, at: g, year: number(cut(text, g, 1)), month: number(cut(text, g, 2)), day: cut(text, g, 4), clock: 7}
	if p.year != 0 {
		return p, true
	}
	before := strings.TrimRight(text[runeAt(text, at-12):at], " ")
	for _, year := range [...]string{"明年", "次年", "今年", "本年", "当年"} {
		if strings.HasSuffix(before, year) {
			g[0] = at - len(text[runeAt(text, at-12):at]) + len(before) - len(year)
			p.next = year == "明年" || year == "次年"
		}
	}
	return p, cut(text, g, 3) == "月" && (cut(text, g, 5) != "" || cut(text, g, 6) != "")
}

// hasMonthName spares most Chinese texts the patterns of English dates.
func hasMonthName(text string) bool {
	for _, name := range [...]string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"} {
		if strings.Contains(text, name) {
			return true
		}
	}
	return false
}

func hasAnyPrefix(s string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// mention makes the date, the last one before it being known; false if there is no such day.
func (p parts) mention(last mention, published time.Time) (mention, bool) {
	m := mention{from: p.at[0], to: p.at[1], after: last.to, hasYear: p.year != 0}
	between := ""
	if last.to > 0 {
		between = p.text[last.to:m.from]
	}
	if p.later || last.to > 0 && joins.MatchString(between) {
		m.ranged, m.from, m.after = true, last.from, last.after
	}
	published = published.In(zonewire.Shanghai)
	year := p.year
	switch {
	case p.later:
		m.hasYear = last.hasYear
	case year != 0:
	case p.next:
		year = published.Year() + 1
	case m.ranged:
		year, m.hasYear = last.year, last.hasYear
		if p.month < last.month {
			year++
		}
	default:
		year = published.Year()
	}
	midnight, ok := civil(year, p.month, p.day)
	if ok && !m.hasYear && !m.ranged && !p.next && midnight.AddDate(0, 1, 1).Before(published) {
		year++
		midnight, ok = civil(year, p.month, p.day)
	}
	if !ok {
		return m, false
	}
	m.year, m.month = year, p.month
	m.t, m.day = p.timeOfDay(midnight)
	return m, true
}

// civil is the first moment of a day; without a number it is the last of the month. It answers false for what is no day.
func civil(year, month int, day string) (time.Time, bool) {
	if month < 1 || month > 12 {
		return time.Time{}, false
	}
	if day == "" {
		return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, zonewire.Shanghai), true
	}
	t := time.Date(year, time.Month(month), number(day), 0, 0, 0, 0, zonewire.Shanghai)
	return t, int(t.Month()) == month && t.Day() == number(day)
}

// timeOfDay adds the clock. Of two times, as office hours have them, the later one counts; 24:00 is the end of the day,
// which is what the day alone means.
func (p parts) timeOfDay(midnight time.Time) (t time.Time, day bool) {
	group := func(i int) string { return cut(p.text, p.at, p.clock+i) }
	g := []string{group(0), group(1), group(2), group(3) + group(4), "", group(5)}
	if end := group(7); end != "" && !p.english {
		g = []string{cmp.Or(group(6), group(0)), end, group(8), group(9) + group(10), "", group(11)}
	}
	if p.english && g[1] == "" {
		if pre := preTime.FindStringSubmatch(p.text[runeAt(p.text, p.at[0]-60):p.at[0]]); pre != nil && (pre[2] != "" || pre[3] != "") {
			g = []string{"", pre[1], pre[2], "", "", pre[3]}
		}
	}
	if g[2] == "半" {
		g[2] = "30"
	}
	if p.english && g[2] == "" && g[5] == "" { // a number that follows, no hour
		g[1] = ""
	}
	if g[5] != "am" && g[5] != "pm" {
		g[5] = ""
	}
	if g[0] == "早" {
		g[0] = "早上"
	}
	h, minute, second, _, precision, ok := clock(g)
	if !ok || precision == zonewire.PrecisionDay || h == 24 {
		return midnight, true
	}
	return midnight.Add(time.Duration(h)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second), false
}

// around gives what stands before a date in its sentence, back to the date before it, and what stands behind it.
func (m mention) around(text string) (left, right string) {
	const before, behind = 240, 180 // bytes: some eighty and sixty characters
	left = text[max(m.after, runeAt(text, m.from-before)):m.from]
	if i := lastSentenceEnd(left); i >= 0 {
		left = left[i:]
	}
	right = text[m.to:runeAt(text, m.to+behind)]
	if i := strings.IndexAny(right, "。;!?"); i >= 0 {
		right = right[:i]
	}
	return left, right
}

// sentence is what stands before the date in its sentence, other dates too.
func (m mention) sentence(text string) string {
	left := text[runeAt(text, m.from-600):m.from]
	if i := lastSentenceEnd(left); i >= 0 {
		left = left[i:]
	}
	return left
}

// lastSentenceEnd is where the last sentence of a text begins, if it is not the first.
func lastSentenceEnd(s string) int {
	i := strings.LastIndexAny(s, "。;!?")
	if i >= 0 {
		_, n := utf8.DecodeRuneInString(s[i:])
		i += n
	}
	if j := strings.LastIndex(s, ". "); j >= 0 && j+2 > i {
		i = j + 2
	}
	return i
}

// runeAt is the beginning of the character at or before a place, kept inside the text.
func runeAt(text string, i int) int {
	i = min(max(i, 0), len(text))
	for i > 0 && i < len(text) && !utf8.RuneStart(text[i]) {
		i--
	}
	return i
}

// foldLine is text as it is searched for dates: narrow, small letters, Chinese numbers in digits.
func foldLine(s string) string {
	s = strings.Map(narrow, s)
	if numbersInWords(s) {
		s = chineseNumbers(s)
	}
	return s
}

// numbersInWords reports whether a year, a month or an hour is written in Chinese numbers.
func numbersInWords(s string) bool {
	for _, unit := range [...]string{"年", "月", "时"} {
		for at := 0; ; {
			i := strings.Index(s[at:], unit)
			if i < 0 {
				break
			}
			last, _ := utf8.DecodeLastRuneInString(s[:at+i])
			if strings.ContainsRune("〇○零一二三四五六七八九十", last) {
				return true
			}
			at += i + len(unit)
		}
	}
	return false
}

// narrow makes full-width forms narrow, letters small and dashes one. It does what NFKC does to what dates and labels are
// made of, much faster.
func narrow(r rune) rune {
	switch {
	case r >= 0x4e00 && r <= 0x9fff:
		return r
	case r >= 'A' && r <= 'Z':
		return r + 'a' - 'A'
	case r >= 0xff01 && r <= 0xff5e:
		return narrow(r - 0xfee0)
	case r >= 0x2010 && r <= 0x2015 || r == 0x2212:
		return '-'
	case r == 0x3000 || r == 0xa0 || r == 0x2002 || r == 0x2003:
		return ' '
	case r == '〜' || r == '∼':
		return '~'
	case r == '︰' || r == '∶':
		return ':'
	}
	return r
}
