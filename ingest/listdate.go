package ingest

import (
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The dates that stand beside the links of a list, in narrow characters, the surest first. One group is a date as it stands;
// three are year, month and day in the order that the second column tells, where a design sets the day apart in large
// digits.
var listDates = []struct {
	re    *regexp.Regexp
	order [3]int
}{
	{regexp.MustCompile(`\d{4}-\d{1,2}-\d{1,2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?`), [3]int{}},
	{fullDate, [3]int{}},
	{regexp.MustCompile(`(?:^|\s)(\d{1,2})日?\s+(\d{4})\s*[-/.年]\s*(\d{1,2})月?(?:\s|$)`), [3]int{2, 3, 1}},
	{regexp.MustCompile(`(?:^|\s)(\d{4})\s*[-/.年]\s*(\d{1,2})月?\s+(\d{1,2})日?(?:\s|$)`), [3]int{1, 2, 3}},
	{regexp.MustCompile(`(?:^|\s)(\d{4})年?\s+(\d{1,2})\s*[-/.月]\s*(\d{1,2})日?(?:\s|$)`), [3]int{1, 2, 3}},
	{regexp.MustCompile(`(?:^|\s)(\d{1,2})\s*[-/.月]\s*(\d{1,2})日?\s+(\d{4})(?:\s|$)`), [3]int{3, 1, 2}},
	{regexp.MustCompile(`(?:^|[\s\[【(<\]】)])((?:\d{1,2}[-/]\d{1,2}|\d{1,2}\s*月\s*\d{1,2}\s*日?)(?:\s+\d{1,2}:\d{2})?)(?:$|[\s\]】)>])`), [3]int{}},
	{regexp.MustCompile(`[\[【(](\d{1,2}\.\d{1,2})[\]】)]`), [3]int{}},
	{regexp.MustCompile(`((?:\d{1,3}|半)\s*个?(?:分钟|小时|天)前|刚刚|(?:今天|昨天|前天)(?:\s*\d{1,2}:\d{2})?)`), [3]int{}},
}

// dateIn finds a date in the text beside a link, as it stands there.
func dateIn(text string, now time.Time) string {
	s := norm.NFKC.String(truncate(text, 600))
	for _, shape := range listDates {
		for _, m := range shape.re.FindAllStringSubmatch(s, 4) {
			raw := m[len(m)-1]
			if o := shape.order; o[0] > 0 {
				raw = m[o[0]] + "-" + m[o[1]] + "-" + m[o[2]]
			}
			raw = trimSpace(raw)
			if d, ok := parseDate(raw, now); ok && plausible(d.t, now) {
				return raw
			}
		}
	}
	return ""
}

const (
	openBracket  = `[\[【(（［]`
	closeBracket = `[\]】)）］]`
	shownDate    = `(\d{4}\s*[-/.年]\s*\d{1,2}\s*[-/.月]\s*\d{1,2}日?(?:\s+\d{1,2}:\d{2}(?::\d{2})?)?|\d{1,2}[-/]\d{1,2})`
)

var (
	dateFirst = regexp.MustCompile(`^` + openBracket + `?\s*` + shownDate + `\s*(?:` + closeBracket + `\s*|\s+|$)`)
	dateLast  = regexp.MustCompile(`(?:\s+|\s*` + openBracket + `)` + shownDate + `\s*` + closeBracket + `?\s*$`)
)

// cutDate takes a date off the beginning or the end of a line that a link shows.
func cutDate(l string, now time.Time) (rest, date string) {
	s := strings.Trim(l, bullets)
	if d, ok := parseDate(s, now); ok && plausible(d.t, now) {
		return "", s
	}
	for _, re := range []*regexp.Regexp{dateFirst, dateLast} {
		m := re.FindStringSubmatchIndex(s)
		if m == nil {
			continue
		}
		raw := s[m[2]:m[3]]
		if d, ok := parseDate(raw, now); !ok || !plausible(d.t, now) {
			continue
		}
		return trimSpace(s[:m[0]] + s[m[1]:]), raw
	}
	if utf8.RuneCountInString(s) <= 20 {
		if found := dateIn(s, now); found != "" && han(strings.ReplaceAll(norm.NFKC.String(s), found, "")) == 0 {
			return "", found
		}
	}
	return l, ""
}
