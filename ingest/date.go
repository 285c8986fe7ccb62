package ingest

import (
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"zonewire"
)

// ParseDate reads a date as portals write it: with digits of any width or in Chinese, with or without a time, in
// brackets, behind a label, relative to now, without a year (the latest such date that is not past tomorrow), RFC 3339,
// RFC 5322, or seconds and milliseconds since 1970. A date without an offset, and one in "CST", is Chinese: +08:00.
//
// Precision is how much was given; a day is a date, not midnight. It answers false for what is no date. Whether the
// date is plausible is another question.
func ParseDate(s string, now time.Time) (t time.Time, p zonewire.Precision, ok bool) {
	d, ok := parseDate(s, now)
	return d.t, d.p, ok
}

type date struct {
	t      time.Time
	p      zonewire.Precision
	noYear bool // the year is a guess
}

// plausible bounds what a portal can mean: nothing was published on the web before 1990, nor later than clocks err.
func plausible(t, now time.Time) bool { return t.Year() >= 1990 && !t.After(now.Add(48*time.Hour)) }

const (
	clockPattern = `(?:(上午|下午|中午|晚上|晚|凌晨|早上|am|pm)?\s*(\d{1,2})\s*[:时点]\s*(?:(\d{1,2})\s*分?\s*)?(?::?\s*(\d{1,2})(?:[.,](\d{1,9}))?\s*秒?)?\s*(am|pm|上午|下午)?)`
	zonePattern  = `(z|(?:gmt|utc)?\s*[+-]\s*\d{1,2}:?(?:\d{2})?(?:\s+[a-z]{2,5})?|[a-z]{1,5})`
	tailPattern  = `(?:(?:\s|t|,)*` + clockPattern + `\s*` + zonePattern + `?)?`
	monthPattern = `(jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)[a-z]*\.?`
)

// The shapes a date may have, tried in this order on the folded text. The groups y, m and d of each are given by their
// numbers; the clock's six groups and the zone follow them.
var dateShapes = []struct {
	re      *regexp.Regexp
	y, m, d int
}{
	{shape(`(\d{4})\s*[-/.年]\s*(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*[日号]?` + tailPattern), 1, 2, 3},
	{shape(`(\d{4})(\d{2})(\d{2})` + tailPattern), 1, 2, 3},
	{shape(`(\d{1,2})[\s-]*` + monthPattern + `[\s,-]*(\d{4}|\d{2})` + tailPattern), 3, 2, 1},
	{shape(monthPattern + `\s*(\d{1,2})(?:st|nd|rd|th)?\s*,?\s*(\d{4})` + tailPattern), 3, 1, 2},
	{shape(`(\d{1,2})\s*月\s*(\d{1,2})\s*日?\s*,?\s*(\d{4})` + tailPattern), 3, 1, 2},
	{shape(`(\d{1,2})\s+(\d{1,2})\s*月\s*,?\s*(\d{4})` + tailPattern), 3, 2, 1},
	{shape(`()(\d{1,2})\s*[-/.月]\s*(\d{1,2})\s*[日号]?` + tailPattern), 1, 2, 3},
}

var (
	// Java and Unix put the year last: "thu dec 29 10:30:00 cst 2022".
	unixDate = shape(monthPattern + `\s+(\d{1,2})\s+` + clockPattern + `\s*` + zonePattern + `?\s+(\d{4})`)

	dateLabel   = regexp.MustCompile(`^[^\d:]{0,12}?(?:(?:时\s*间|日\s*期|发\s*布|更\s*新|date|published)\s*)+(?:于|在)?[\s:]*`)
	weekday     = regexp.MustCompile(`(?:星期|礼拜|周)[一二三四五六日天]|\b(?:mon|tue|tues|wed|thu|thur|thurs|fri|sat|sun)(?:day|sday|nesday|rsday|urday)?\b\.?,?`)
	digitsOnly  = regexp.MustCompile(`^\d{9,14}$`)
	ago         = regexp.MustCompile(`^(\d{1,5}|半|几)\s*个?\s*(秒钟?|分钟?|小时|天|日|周|星期)(?:之|以)?前$`)
	dayWord     = regexp.MustCompile(`^(今天|今日|昨天|昨日|前天|前日)\s*` + clockPattern + `?$`)
	comment     = regexp.MustCompile(`(\S)\s*\([^()]*\)$`)
	chineseNums = regexp.MustCompile(`[〇○零一二三四五六七八九十廿卅]+\s*[年月日号时点分秒]`)
	dashes      = strings.NewReplacer("–", "-", "—", "-", "−", "-", "‐", "-")
	brackets    = strings.NewReplacer("[", " ", "]", " ", "【", " ", "】", " ", "(", " ", ")", " ", "〔", " ", "〕", " ", "「", " ", "」", " ", "<", " ", ">", " ")
)

func shape(re string) *regexp.Regexp { return regexp.MustCompile(`^(?:` + re + `)$`) }

func parseDate(s string, now time.Time) (date, bool) {
	if len(s) > 200 {
		return date{}, false
	}
	s = strings.TrimSpace(strings.ToLower(dashes.Replace(norm.NFKC.String(s))))
	s = comment.ReplaceAllString(s, "$1") // gmt+0800 (china standard time)
	if s == "" {
		return date{}, false
	}
	s = chineseNumbers(s)
	s = strings.Join(strings.Fields(weekday.ReplaceAllString(brackets.Replace(s), " ")), " ")
	s = strings.Trim(s, " ,;|·。")
	s = strings.TrimSpace(dateLabel.ReplaceAllString(s, ""))
	now = now.In(zonewire.Shanghai)
	if d, ok := relativeDate(s, now); ok {
		return d, true
	}
	if digitsOnly.MatchString(s) {
		return digitDate(s)
	}
	if m := unixDate.FindStringSubmatch(s); m != nil {
		return makeDate(m[10], m[1], m[2], m[3:10], now)
	}
	for _, sh := range dateShapes {
		if m := sh.re.FindStringSubmatch(s); m != nil {
			return makeDate(m[sh.y], m[sh.m], m[sh.d], m[4:11], now)
		}
	}
	return date{}, false
}

// makeDate builds a date from its parts; rest is the six groups of the clock and the zone.
func makeDate(year, month, day string, rest []string, now time.Time) (date, bool) {
	loc, ok := offset(rest[6])
	if !ok {
		return date{}, false
	}
	h, m, sec, frac, p, ok := clock(rest)
	if !ok {
		return date{}, false
	}
	mon, ok := monthNumber(month)
	if !ok {
		return date{}, false
	}
	d := date{p: p, noYear: year == ""}
	y, dd := number(year), number(day)
	switch {
	case d.noYear:
		y = now.Year() + 1
	case len(year) == 2 && y < 70:
		y += 2000
	case len(year) == 2:
		y += 1900
	}
	for tries := 0; ; tries++ {
		midnight := time.Date(y, time.Month(mon), dd, 0, 0, 0, 0, loc)
		valid := midnight.Day() == dd && int(midnight.Month()) == mon
		d.t = midnight.Add(time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(sec)*time.Second + frac)
		if d.t.Year() < 1 || d.t.Year() > 9999 { // RFC 3339 has no more digits
			return date{}, false
		}
		if valid && (!d.noYear || !d.t.After(now.AddDate(0, 0, 1))) {
			return d, true
		}
		if !d.noYear || tries > 8 { // eight years always hold a 29 February
			return date{}, false
		}
		y--
	}
}

// clock reads the six groups of clockPattern.
func clock(g []string) (h, m, s int, frac time.Duration, p zonewire.Precision, ok bool) {
	if g[1] == "" {
		return 0, 0, 0, 0, zonewire.PrecisionDay, true
	}
	h, m, s, p = number(g[1]), number(g[2]), number(g[3]), zonewire.PrecisionMinute
	if g[3] != "" {
		p = zonewire.PrecisionSecond
		nanos := (g[4] + "000000000")[:9]
		frac = time.Duration(number(nanos))
	}
	switch half := g[0] + g[5]; half {
	case "下午", "晚上", "晚", "pm":
		if h < 12 {
			h += 12
		}
	case "中午":
		if h < 3 {
			h += 12
		}
	case "上午", "凌晨", "早上", "am":
		if h == 12 {
			h = 0
		}
	}
	if h > 24 || m > 59 || s > 60 || h == 24 && m+s > 0 {
		return 0, 0, 0, 0, "", false
	}
	return h, m, s, frac, p, true
}

// offset reads a zone. CST is China Standard Time here, though RFC 5322 section 4.3 means America's: portals run on
// servers whose Java or PHP prints it.
func offset(zone string) (*time.Location, bool) {
	zone = strings.ReplaceAll(zone, " ", "")
	if strings.ContainsAny(zone, "0123456789") {
		zone = strings.TrimRight(zone, "abcdefghijklmnopqrstuvwxyz") // +0800 cst, as Go prints it
	}
	switch zone {
	case "", "cst", "bjt", "hkt":
		return zonewire.Shanghai, true
	case "z", "gmt", "utc", "ut":
		return time.UTC, true
	}
	for name, hours := range map[string]int{"est": -5, "edt": -4, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7, "jst": 9} {
		if zone == name {
			return time.FixedZone("", hours*3600), true
		}
	}
	num := strings.TrimPrefix(strings.TrimPrefix(zone, "gmt"), "utc")
	if num == "" || num[0] != '+' && num[0] != '-' {
		return nil, false
	}
	digits := strings.ReplaceAll(num[1:], ":", "")
	hours, minutes := number(digits), 0
	if len(digits) > 2 {
		hours, minutes = number(digits[:len(digits)-2]), number(digits[len(digits)-2:])
	}
	if hours > 14 || minutes > 59 {
		return nil, false
	}
	seconds := hours*3600 + minutes*60
	if num[0] == '-' {
		seconds = -seconds
	}
	if seconds == 8*3600 {
		return zonewire.Shanghai, true
	}
	if seconds == 0 {
		return time.UTC, true
	}
	return time.FixedZone("", seconds), true
}

// digitDate reads digits alone: nine or ten are seconds since 1970, thirteen milliseconds, twelve and fourteen a date
// and a time. (Eight are a date, which is one of the shapes.)
func digitDate(s string) (date, bool) {
	switch len(s) {
	case 9, 10:
		return date{t: time.Unix(int64(number(s)), 0).In(zonewire.Shanghai), p: zonewire.PrecisionSecond}, true
	case 13:
		return date{t: time.UnixMilli(int64(number(s))).In(zonewire.Shanghai), p: zonewire.PrecisionSecond}, true
	case 12:
		t, err := time.ParseInLocation("200601021504", s, zonewire.Shanghai)
		return date{t: t, p: zonewire.PrecisionMinute}, err == nil && t.Year() > 0
	case 14:
		t, err := time.ParseInLocation("20060102150405", s, zonewire.Shanghai)
		return date{t: t, p: zonewire.PrecisionSecond}, err == nil && t.Year() > 0
	}
	return date{}, false
}

// relativeDate reads "5分钟前", "昨天 10:30" and their like.
func relativeDate(s string, now time.Time) (date, bool) {
	day := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	switch s {
	case "刚刚", "刚才", "just now":
		return date{t: now.Truncate(time.Minute), p: zonewire.PrecisionMinute}, true
	}
	if m := ago.FindStringSubmatch(s); m != nil {
		n := time.Duration(number(m[1]))
		if m[1] == "几" {
			n = 3
		}
		unit, half := time.Minute, m[1] == "半"
		switch m[2][:3] {
		case "秒":
			unit = time.Second
		case "小":
			unit = time.Hour
		case "天", "日", "周", "星":
			days := int(n)
			if m[2] == "周" || m[2] == "星期" {
				days *= 7
			}
			return date{t: day.AddDate(0, 0, -days), p: zonewire.PrecisionDay}, !half
		}
		back := n * unit
		if half {
			back = unit / 2
		}
		return date{t: now.Add(-back).Truncate(time.Minute), p: zonewire.PrecisionMinute}, true
	}
	if m := dayWord.FindStringSubmatch(s); m != nil {
		h, min, sec, _, p, ok := clock(m[2:])
		back := map[string]int{"今": 0, "昨": 1, "前": 2}[m[1][:3]]
		t := day.AddDate(0, 0, -back).Add(time.Duration(h)*time.Hour + time.Duration(min)*time.Minute + time.Duration(sec)*time.Second)
		return date{t: t, p: p}, ok
	}
	return date{}, false
}

// chineseNumbers writes the Chinese numbers before 年月日时分秒 in digits.
func chineseNumbers(s string) string {
	return chineseNums.ReplaceAllStringFunc(s, func(m string) string {
		unit := strings.TrimLeft(m, "〇○零一二三四五六七八九十廿卅")
		num := strings.TrimSuffix(m, unit)
		if strings.TrimSpace(unit) == "年" && !strings.ContainsAny(num, "十廿卅") {
			digits := ""
			for _, r := range num {
				digits += strconv.Itoa(chineseDigit(r))
			}
			return digits + unit
		}
		n, last := 0, 0
		for _, r := range num {
			switch r {
			case '十':
				n += 10 * max(last, 1)
				last = 0
			case '廿':
				n += 20
			case '卅':
				n += 30
			default:
				last = chineseDigit(r)
			}
		}
		return strconv.Itoa(n+last) + unit
	})
}

func chineseDigit(r rune) int {
	switch r {
	case '〇', '○', '零':
		return 0
	}
	return strings.Index("一二三四五六七八九", string(r))/len("一") + 1
}

func monthNumber(s string) (int, bool) {
	if n, err := strconv.Atoi(s); err == nil {
		return n, n >= 1 && n <= 12
	}
	const names = "janfebmaraprmayjunjulaugsepoctnovdec"
	i := strings.Index(names, s[:min(3, len(s))])
	return i/3 + 1, i >= 0
}

// number reads digits that a pattern has found; no digits are 0.
func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

var (
	urlDates = []*regexp.Regexp{
		regexp.MustCompile(`/t(\d{4})(\d{2})(\d{2})_`),
		regexp.MustCompile(`/(\d{4})/(\d{1,2})/(\d{1,2})/`),
		regexp.MustCompile(`/(\d{4})-(\d{1,2})/(\d{1,2})/`),
	}
	fullDate = regexp.MustCompile(`\d{4}\s*[-/.年]\s*\d{1,2}\s*[-/.月]\s*\d{1,2}\s*日?(?:[\sT]*\d{1,2}:\d{2}(?::\d{2})?)?`)
)

// urlDate finds the day in addresses such as /art/2022/12/29/ and /t20221229_1.shtml.
func urlDate(u string, now time.Time) (date, bool) {
	for _, re := range urlDates {
		if m := re.FindStringSubmatch(u); m != nil {
			if d, ok := parseDate(m[1]+"-"+m[2]+"-"+m[3], now); ok && plausible(d.t, now) {
				return d, true
			}
		}
	}
	return date{}, false
}
