package ingest

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Portals of every make print the same lines round an article. This file knows them: the breadcrumb, the line of
// labels (发布时间：… 来源：…), and the chrome above and below the body. Lines are matched in any width of punctuation
// and with any spaces inside a label; what is taken from them is the text as it stands.

// layout is where the parts of a page stand among its lines; -1 for what was not found.
type layout struct {
	title  int
	body   int // first line behind the labels
	crumbs []string
	labels map[string]string // field: value, of the lines of labels
	anchor string            // the first line of labels
	near   string            // the text after the title, where an unlabelled date may stand
}

// labelNames are the labels that portals print, and the field that each gives. Those without a field end the value
// before them and are otherwise ignored.
var labelNames = map[string]string{
	"发布时间": "published", "发布日期": "published", "发文日期": "published", "发文时间": "published", "发稿时间": "published",
	"发表时间": "published", "发表日期": "published", "信息时间": "published", "公开日期": "published", "公开时间": "published",
	"日期": "published", "时间": "published", "更新时间": "", "更新日期": "", "成文日期": "", "生成日期": "",
	"来源": "source", "信息来源": "source", "文章来源": "source", "稿件来源": "source", "新闻来源": "source", "来源单位": "source", "稿源": "source",
	"发布机构": "source", "发布单位": "source", "发文机关": "source", "发文单位": "source", "供稿单位": "source",
	"作者": "author", "文章作者": "author", "撰稿": "author", "记者": "",
	"发布开发区": "zone", "所属开发区": "zone",
	"责任编辑": "", "责编": "", "编辑": "", "校对": "", "审核": "", "审核人": "", "供稿": "", "发布人": "", "录入": "", "摄影": "",
	"浏览次数": "", "浏览量": "", "浏览": "", "点击数": "", "点击量": "", "点击": "", "点击次数": "", "阅读": "", "阅读次数": "", "阅读量": "", "访问量": "", "访问次数": "",
	"字号": "", "字体": "", "字体大小": "", "分享到": "", "分享": "", "分类": "", "栏目": "", "关键词": "", "关键字": "",
	"索引号": "", "主题分类": "", "文号": "", "发文字号": "", "有效性": "",
}

const space = `[\s\p{Z}\x{200b}\x{feff}]*`

var (
	labelAt  = regexp.MustCompile(`(?:^|[\s\p{Z}|｜【\[（(〔>》」\d])` + `(` + labelAlternatives(func(string) bool { return true }) + `)` + space + `(?:[:：]|】|\])` + space)
	valueEnd = regexp.MustCompile(`[\s\p{Z}]{2,}|[\x{a0}\x{3000}|｜【\[]`)
	// A label in a cell of its own has no colon. Short words may be a heading or text there, but for these.
	cellLabel = regexp.MustCompile(`(^|[\s\p{Z}]{2})(` + labelAlternatives(func(name string) bool {
		return utf8.RuneCountInString(name) >= 4 || name == "来源" || name == "文号" || name == "索引号" || name == "关键词"
	}) + `)[\s\p{Z}]{2}`)
	// A date label without a colon, as its own tag often leaves it, and the source behind that.
	bareSource = regexp.MustCompile(`(\d[\s\p{Z}]+)(?:信息|文章)?来源[\s\p{Z}]+(\S{2,30})`)
	bareDate   = regexp.MustCompile(`^(?:发布时间|发布日期|发文日期|日期|时间)[\s\p{Z}]+(\d{4}\D.*)$`)

	crumbStart = regexp.MustCompile(`^[\s\p{Z}]*(?:您?(?:现在|当前|目前)?的?(?:所在)?(?:位置|栏目)|首页|网站首页|主页)`)
	crumbSplit = regexp.MustCompile(`\s*(?:[>＞»›→]|>>|::|/|\\)+\s*`)
	mediaTypes = regexp.MustCompile(`^(?:文字|图片|视频|音频|图文|综合)(?:新闻|资讯|报道)$`)
)

// labelAlternatives is the longest label first, each with spaces allowed inside: 来　　源.
func labelAlternatives(among func(string) bool) string {
	names := make([]string, 0, len(labelNames))
	for n := range labelNames {
		if among(n) {
			names = append(names, n)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	for i, n := range names {
		names[i] = strings.Join(strings.Split(n, ""), space)
	}
	return strings.Join(names, "|")
}

// maxLabelLine is the length in characters past which a line is text that happens to hold a label.
const maxLabelLine = 300

// scanLabels takes a line of labels apart. It answers nil for any other line: the first label must begin the line, or
// follow only a date, because paragraphs hold words with colons too.
func scanLabels(l string) map[string]string {
	if utf8.RuneCountInString(l) > maxLabelLine {
		return nil
	}
	if m := bareDate.FindStringSubmatch(l); m != nil {
		l = "时间:" + bareSource.ReplaceAllString(m[1], "${1}来源:${2}")
	}
	l = cellLabel.ReplaceAllString(l, "$1$2:")
	type found struct {
		field      string
		start, end int
	}
	var all []found
	for pos := 0; pos < len(l); {
		m := labelAt.FindStringSubmatchIndex(l[pos:])
		if m == nil {
			break
		}
		name := strings.Join(strings.FieldsFunc(l[pos+m[2]:pos+m[3]], func(r rune) bool { return unicode.IsSpace(r) || r == '\u200b' || r == '\ufeff' }), "")
		all = append(all, found{labelNames[name], pos + m[2], pos + m[1]})
		pos += m[1]
	}
	if len(all) == 0 {
		return nil
	}
	values := map[string]string{}
	if lead := strings.Trim(l[:all[0].start], " \u3000\u00a0|｜【[（(〔"); lead != "" {
		m := fullDate.FindString(fold(lead))
		if m == "" || utf8.RuneCountInString(lead) > utf8.RuneCountInString(m)+6 {
			return nil
		}
		values["lead"] = lead
	}
	for i, f := range all {
		end := len(l)
		if i+1 < len(all) {
			end = all[i+1].start
		}
		v := trimSpace(l[f.end:end])
		if f.field != "published" {
			if cut := valueEnd.FindStringIndex(v); cut != nil {
				v = v[:cut[0]]
			}
		}
		v = strings.Trim(v, " \u3000\u00a0|｜【】[]（(;；,，")
		if _, again := values[f.field]; !again && f.field != "" && v != "" {
			values[f.field] = v
		}
	}
	values["labels"] = "yes" // a line of labels, even if all are empty
	return values
}

// breadcrumb takes a line such as 您现在的位置：首页 > 新闻 > 常州 apart; nil for any other.
func breadcrumb(l string) []string {
	if utf8.RuneCountInString(l) > 200 || !crumbStart.MatchString(l) {
		return nil
	}
	if i := strings.IndexAny(l, ":："); i >= 0 && !strings.HasPrefix(l[i:], "::") {
		_, n := utf8.DecodeRuneInString(l[i:])
		l = l[i+n:]
	}
	var crumbs []string
	parts := crumbSplit.Split(l, -1)
	if len(parts) < 2 {
		return nil
	}
	for _, c := range parts {
		switch c = trimSpace(c); c {
		case "", "首页", "网站首页", "主页", "正文", "内容", "文章正文", "详情":
		default:
			crumbs = append(crumbs, c)
		}
	}
	return crumbs
}

// findLayout finds the parts of a page. The line of labels is the anchor: the title stands above it.
func findLayout(lines []string) layout {
	l := layout{title: -1, labels: map[string]string{}}
	anchor := -1
	for i, s := range lines {
		if l.crumbs == nil && anchor < 0 {
			if l.crumbs = breadcrumb(s); l.crumbs != nil {
				l.body = i + 1
				continue
			}
		}
		found := scanLabels(s)
		if found == nil {
			if anchor >= 0 && i > anchor+6 {
				break // labels further down belong to something else
			}
			continue
		}
		if anchor < 0 && found["published"] == "" && found["lead"] == "" && found["source"] == "" && found["zone"] == "" {
			continue // a counter or a font switch above the title
		}
		if anchor >= 0 && proseBetween(lines[l.body:i]) {
			break // the body has begun
		}
		for field, v := range found {
			if l.labels[field] == "" {
				l.labels[field] = v
			}
		}
		if anchor < 0 {
			anchor, l.anchor = i, s
		}
		l.body = i + 1
	}
	top := anchor
	if anchor < 0 {
		top = len(lines)
	}
	l.title = titleLine(lines[:top], anchor >= 0, l.body)
	if anchor < 0 && l.title >= 0 {
		l.body = l.title + 1
	}
	if l.title >= 0 {
		l.near = truncate(strings.Join(lines[l.title+1:], "\n"), 200)
	}
	return l
}

// proseBetween reports whether the lines hold a sentence.
func proseBetween(lines []string) bool {
	for _, s := range lines {
		if strings.ContainsAny(s, "。；") || utf8.RuneCountInString(s) > 60 {
			return true
		}
	}
	return false
}

// titleLine is the nearest line above the labels that can be a title; without labels the first one behind the
// breadcrumb.
func titleLine(lines []string, labelled bool, from int) int {
	can := func(s string) bool {
		return s != "" && breadcrumb(s) == nil && scanLabels(s) == nil && !isChrome(s) && utf8.RuneCountInString(s) <= maxTitle
	}
	if labelled {
		for i := len(lines) - 1; i >= 0; i-- {
			if can(lines[i]) {
				return i
			}
		}
		return -1
	}
	for i := from; i < len(lines); i++ {
		if can(lines[i]) {
			return i
		}
	}
	return -1
}

// fill gives the page what its lines tell.
func (l layout) fill(p *portalPage) {
	p.setName(&p.fields.source, "source", l.labels["source"], "label")
	p.setName(&p.fields.author, "author", l.labels["author"], "label")
	p.set(&p.fields.zone, "zone", l.labels["zone"], "label")
	if n := len(l.crumbs); n > 0 {
		for i, c := range l.crumbs {
			switch {
			case provinceNames()[c] != "" && i < n-1:
				p.set(&p.fields.province, "province", c, "crumb")
			case cityNames()[c] != "" && n > 1,
				// section > city > kind of medium
				n >= 3 && i == n-2 && mediaTypes.MatchString(l.crumbs[n-1]) && utf8.RuneCountInString(c) <= 8:
				p.set(&p.fields.city, "city", c, "crumb")
			}
		}
		last := l.crumbs[n-1]
		if last != p.fields.title && utf8.RuneCountInString(last) <= 20 && cityNames()[last] == "" {
			p.set(&p.fields.category, "category", last, "crumb")
		} else if n > 1 {
			p.set(&p.fields.category, "category", l.crumbs[n-2], "crumb")
		}
	}
}

// Lines that are never text of an article, on the squeezed line.
var chrome = regexp.MustCompile(strings.Join([]string{
	`^[\[【(]?(?:字号|字体)(?:大小)?[:]?[\[【(]?(?:特大|超大|放大|缩小|默认|大|中|小|标准|[\[\]【】()|/+-])*$`,
	`^(?:[\[【(]?(?:打印(?:本页|文章|此页|正文)?|关闭(?:窗口|本页|此页)?|返回(?:顶部|列表|上一?页)?|收藏(?:本页)?|下载|复制链接|回到顶部|我要纠错|大|中|小)[\]】)]?[|/]?)+$`,
	`^[\[【]?分享(?:到|至|本文)?(?:微信|微博|qq|朋友圈|[:：、,|])*[\]】]?$`,
	`^(?:浏览|点击|阅读|访问)(?:次数|量|数)?[:]?\d*次?$`,
	`扫一扫.{0,12}(?:手机|当前页|微信|分享)`,
	`^[\[【(]?(?:责任编辑|责编|编辑|校对|审核|初审|复审|终审|值班编辑|录入|发布人)[:].{0,40}$`,
	`^(?:加载中|正在加载|暂无评论|相关附件下载)[.…]*$`,
}, "|"))

// Lines that end an article: nothing below them belongs to it.
var ending = regexp.MustCompile(strings.Join([]string{
	`^[<«‹\[【(]*(?:上|下)[一1](?:条|篇|页|则)(?:信息|新闻|文章)?(?:[:\]】)]|$)`,
	`^[<«‹\[【(]*(?:上|下)[一1](?:条|篇|则)(?:没有|无|暂无)`,
	`^(?:与我们联系|联系我们|相关链接|相关新闻|相关阅读|相关文章|相关信息|推荐阅读|热点新闻|友情链接|网站地图|关于我们)[:]?$`,
	`^版权所有`, `^copyright(?:©|\(c\)|\d)`, `^©`, `^[a-z京沪津渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼]?icp备`, `公网安备\d`, `^主办单位[:]`, `^主办[:]`,
}, "|"))

func isChrome(l string) bool {
	s := squeeze(l)
	return utf8.RuneCountInString(s) <= 120 && (chrome.MatchString(s) || ending.MatchString(s))
}

func isEnding(l string) bool {
	s := squeeze(l)
	return utf8.RuneCountInString(s) <= 160 && ending.MatchString(s)
}

// bodyLines are the paragraphs of the body: without chrome, without a heading that repeats the title, up to the line
// that ends the article.
func bodyLines(lines []string, title string) []string {
	var body []string
	for _, l := range lines {
		switch {
		case l == "":
		case len(body) > 0 && isEnding(l):
			return body
		case isChrome(l), len(body) == 0 && squeeze(l) == squeeze(title):
		default:
			body = append(body, l)
		}
	}
	return body
}
