package ingest

import (
	"strings"
	"unicode/utf8"

	"zonewire"
)

// NewMatcher returns the matcher of the zones. A name is tried as slug, as exact name, as alias, and as key, and the
// first that knows it decides; what two zones share is decided by province and city, or not at all.
//
// The key of a name is its stem and its class: 江苏金坛经济开发区管委会 is 金坛 + 经济开发区. Different classes are
// different zones, however alike they look; the short forms 经开区 and 高新区 stand for any class that they shorten. The
// place that a name begins with, and the place that the page told, must not contradict the zone's. A stem that every
// province has, such as 临港, counts only with a place that agrees.
//
// A zone that was merged stands for the one that took it over; a zone that was closed matches nothing, and it hides its
// name from others.
func NewMatcher(zones []zonewire.Zone) zonewire.Matcher {
	m := &matcher{names: make(map[string][]*candidate, len(zones)), aliases: map[string][]*candidate{}, keys: make(map[key][]*candidate, 2*len(zones))}
	heirs := make(map[string]*zonewire.Zone, len(zones))
	for i := range zones {
		heirs[zones[i].Slug] = &zones[i]
	}
	all := make([]candidate, len(zones))
	slugs := make(map[string]*candidate, len(zones))
	for i, z := range zones {
		c := &all[i]
		c.place = place{province: placeName(z.Province), city: placeName(z.City)}
		if heir := heirOf(&zones[i], heirs); heir != nil {
			c.id = heir.ID
		}
		slugs[z.Slug] = c
	}
	m.slugs = slugs
	for i, z := range zones {
		c := &all[i]
		for j, name := range append([]string{z.Name}, z.Aliases...) {
			text := nameText(name)
			if text == "" {
				continue
			}
			k, in := keyOf(text)
			if j == 0 {
				c.place.fill(in)
			}
			if j == 0 {
				m.names[text] = addCandidate(m.names[text], c)
			} else {
				m.aliases[text] = addCandidate(m.aliases[text], c)
			}
			m.keys[k] = addCandidate(m.keys[k], c)
		}
	}
	return m.match
}

type matcher struct {
	slugs   map[string]*candidate
	names   map[string][]*candidate
	aliases map[string][]*candidate
	keys    map[key][]*candidate
}

// candidate is a zone that may be meant. Its id is 0 if it was closed without an heir.
type candidate struct {
	id    int64
	place place
}

func addCandidate(list []*candidate, c *candidate) []*candidate {
	for _, other := range list {
		if other == c {
			return list
		}
	}
	return append(list, c)
}

func (m *matcher) match(name, province, city string) (int64, bool) {
	if c := m.slugs[strings.ToLower(strings.TrimSpace(name))]; c != nil {
		return c.id, c.id != 0
	}
	text := nameText(name)
	if text == "" {
		return 0, false
	}
	told := place{placeName(province), placeName(city)}
	if list := m.names[text]; len(list) == 1 {
		return list[0].id, list[0].id != 0 // its full name says more than where a page is filed
	} else if len(list) > 1 {
		return choose(list, told, true)
	}
	if list := m.aliases[text]; len(list) > 0 {
		if len(list) == 1 {
			told.city = ""
		}
		return choose(list, told, len(list) > 1)
	}
	k, in := keyOf(text)
	if k.class == "" {
		return 0, false // no known kind of zone: only its exact name will do
	}
	in.fill(told)
	var list []*candidate
	for _, class := range k.classes() {
		for _, c := range m.keys[key{k.stem, class}] {
			list = addCandidate(list, c)
		}
	}
	return choose(list, in, len(list) > 1 || commonStems[k.stem])
}

// choose returns the only candidate whose place does not contradict the one known. When sure is true the two places
// must agree in something.
func choose(list []*candidate, known place, sure bool) (int64, bool) {
	var found *candidate
	for _, c := range list {
		if known.contradicts(c.place) || sure && !known.agrees(c.place) {
			continue
		}
		if found != nil && (found.id != c.id || c.id == 0) {
			return 0, false
		}
		found = c
	}
	if found == nil {
		return 0, false
	}
	return found.id, found.id != 0
}

func heirOf(z *zonewire.Zone, bySlug map[string]*zonewire.Zone) *zonewire.Zone {
	for range len(bySlug) { // a ring of mergers ends
		if z == nil || z.Closed.IsZero() {
			return z
		}
		z = bySlug[z.MergedInto]
	}
	return nil
}

// place is a province and a city without 省 and 市, each empty if unknown.
type place struct{ province, city string }

// fill takes over from other what is unknown.
func (p *place) fill(other place) {
	if p.province == "" {
		p.province = other.province
	}
	if p.city == "" {
		p.city = other.city
	}
}

// contradicts compares cities only of one rank: 昆山 does not contradict 苏州, in which it lies.
func (p place) contradicts(other place) bool {
	return p.province != "" && other.province != "" && p.province != other.province ||
		p.city != "" && other.city != "" && p.city != other.city && (cityNames()[p.city] == "") == (cityNames()[other.city] == "")
}

func (p place) agrees(other place) bool {
	return !p.contradicts(other) &&
		(p.province != "" && p.province == other.province || p.city != "" && p.city == other.city)
}

// key is what is left of a name when the place before it and the office behind it are gone.
type key struct{ stem, class string }

// classes are the classes that a name with this key may mean: its own, and the full ones that a short form stands for.
// It does not go the other way: a zone known as 澄湖经开区 need not be 澄湖经济技术开发区.
func (k key) classes() []string { return append([]string{k.class}, shortClasses[k.class]...) }

// The classes of zones, a longer one before one that it ends with. Those that differ are never the same zone:
// 经济开发区 is provincial, 经济技术开发区 is national, and one county may have both.
var classes = []string{
	"经济技术开发区", "高新技术产业开发区", "高新技术产业园区", "高新技术开发区", "高新技术产业区",
	"旅游经济开发区", "经济开发区", "工业开发区", "农业高新技术产业示范区", "产业示范区", "示范区",
	"边境经济合作区", "跨境经济合作区", "经济合作区", "合作区",
	"综合保税区", "保税港区", "保税物流园区", "保税区", "出口加工区", "跨境工业区",
	"旅游度假区", "台商投资区", "投资区", "自由贸易试验区", "试验区",
	"工业园区", "工业园", "产业园区", "产业园", "工业集中区", "产业集聚区", "工业区", "科技园区", "科技园",
	"化工园区", "物流园区", "软件园", "开发区", "经开区", "高新区", "综保区", "边合区", "自贸区", "园区", "新区", "经济区",
}

var shortClasses = map[string][]string{
	"经开区": {"经济开发区", "经济技术开发区"},
	"高新区": {"高新技术产业开发区", "高新技术产业园区", "高新技术开发区"},
	"综保区": {"综合保税区"},
	"边合区": {"边境经济合作区"},
	"自贸区": {"自由贸易试验区"},
}

// commonStems stand in many provinces.
var commonStems = set("临港", "空港", "临空", "城东", "城西", "城南", "城北", "东部", "西部", "南部", "北部", "中部", "新城",
	"东城", "西城", "南城", "北城", "城区", "城郊", "滨海", "沿海", "沿江", "沿河", "滨江", "滨湖", "港区", "港口", "海港", "铁路", "航空",
	"航空港", "高铁", "中心", "综合", "国际", "现代", "城关", "河东", "河西", "河南", "江北", "江南", "江东", "江西", "鼓楼", "新华", "桥东", "桥西")

// nameText is a name as it is compared: narrow, small, without spaces, brackets and the office that runs the zone.
func nameText(s string) string {
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune("()[]{}<>《》〈〉【】〔〕「」『』“”\"'·•\u200b\ufeff", r) {
			return -1
		}
		return r
	}, squeeze(zonewire.CleanText(s)))
	for _, office := range []string{"管委会", "管理委员会"} {
		if t := strings.TrimSuffix(s, office); t != "" && t != s {
			return t
		}
	}
	return s
}

// keyOf takes a name apart: its key, and the place that it begins with. A stem of one character says nothing, so
// a place before it stays: 常州高新技术产业开发区 keeps 常州.
func keyOf(text string) (key, place) {
	k := key{stem: text}
	for _, c := range classes {
		if stem, ok := strings.CutSuffix(text, c); ok && stem != "" {
			k = key{stem, c}
			break
		}
	}
	var in place
	if k.class == "" {
		return k, in
	}
	if name, rest := cutPlace(k.stem, provinceNames()); name != "" {
		in.province = name
		if longEnough(rest) {
			k.stem = rest
		}
	}
	if name, rest := cutPlace(k.stem, cityNames()); name != "" {
		in.city = name
		if longEnough(rest) {
			k.stem = rest
		} else if rest == "" {
			k.stem = name // 常州市 and 常州 are one stem
		}
	}
	if provinceNames()[k.stem] != "" {
		k.stem = provinceNames()[k.stem]
	}
	return k, in
}

func longEnough(stem string) bool { return utf8.RuneCountInString(stem) >= 2 }

// cutPlace cuts the longest name of the table from the beginning of s, in either spelling.
func cutPlace(s string, names map[string]string) (name, rest string) {
	const longest = 12 // characters of the longest official name
	end := len(s)
	n := 0
	for i := range s {
		if n == longest {
			end = i
			break
		}
		n++
	}
	for i := end; i > 0; {
		if name := names[s[:i]]; name != "" {
			return name, s[i:]
		}
		_, size := utf8.DecodeLastRuneInString(s[:i])
		i -= size
	}
	return "", s
}

// placeName is the name of a province or city without 省, 市 and the like.
func placeName(s string) string {
	s = squeeze(s)
	if name := provinceNames()[s]; name != "" {
		return name
	}
	if name := cityNames()[s]; name != "" {
		return name
	}
	if t := strings.TrimSuffix(strings.TrimSuffix(s, "省"), "市"); longEnough(t) {
		return t
	}
	return s
}
