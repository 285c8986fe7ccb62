package ingest

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"zonewire"
)

// articleHeads are the columns of an article table, by folded head: the names of the NDJSON form, and what Chinese
// editors write.
var articleHeads = heads(map[string]string{
	"zone":         "开发区 发布开发区 所属开发区 园区",
	"id":           "编号 序号 文章编号",
	"url":          "链接 网址 原文链接 地址",
	"title":        "标题 文章标题 新闻标题",
	"content":      "正文 内容 文章内容 body",
	"content_html": "",
	"content_text": "",
	"summary":      "摘要 简介",
	"source":       "来源 信息来源 文章来源",
	"author":       "作者",
	"category":     "栏目 分类 类别",
	"city":         "城市 市",
	"province":     "省份 省",
	"language":     "语言",
	"published":    "发布时间 发布日期 日期 时间 date",
	"deadline":     "截止时间 截止日期",
	"image":        "图片 封面",
	"attachments":  "附件",
})

// zoneHeads are the columns of a zone table.
var zoneHeads = heads(map[string]string{
	"slug":     "标识 缩写",
	"code":     "代码 开发区代码",
	"name":     "名称 开发区名称 开发区",
	"name_en":  "英文名 英文名称",
	"level":    "级别",
	"type":     "类型 类别 开发区类型",
	"province": "省份 省 省市区 所在省份",
	"city":     "城市 市 所在城市",
	"homepage": "网址 主页 网站 官网",
	"language": "语言",
	"aliases":  "别名 曾用名 简称 alias",
})

func heads(columns map[string]string) map[string]string {
	m := map[string]string{}
	for name, others := range columns {
		m[name] = name
		for _, other := range strings.Fields(others) {
			m[other] = name
		}
	}
	return m
}

// row is one line of a table, by column. Line is where it begins: a quoted cell may run over several lines.
type row struct {
	cells    map[string]string
	line     int
	charset  string
	replaced int
	err      error // the row cannot be used
}

// table reads rows from lines.
type table struct {
	in      *lines
	heads   map[string]string
	columns []string // name by position, "" for one to ignore
	comma   rune

	csv    *csv.Reader
	offset int // lines before csv began

	// What the CSV reader is reading from.
	rest   []byte
	budget int // bytes the row may still take
	state  Decoded
	bad    error // a line of the row cannot be used
	err    error // the file could not be read
}

var errLongRow = zonewire.Invalidf("the row is longer than %d MB: is a quote not closed?", maxLine>>20)

// Read gives the CSV reader one line at most, so that nothing is lost when a row is given up.
func (t *table) Read(p []byte) (int, error) {
	if len(t.rest) == 0 {
		d, err := t.in.next()
		switch {
		case errors.Is(err, io.EOF):
			return 0, err
		case rejected(err):
			t.bad = err
			return 0, err
		case err != nil:
			t.err = err
			return 0, err
		}
		if d.Charset != charsetUTF8 || t.state.Charset == "" {
			t.state.Charset = d.Charset
		}
		t.state.Replaced += d.Replaced
		t.rest = append([]byte(d.Text), '\n')
	}
	if t.budget < len(t.rest) {
		t.rest, t.bad = nil, errLongRow
		return 0, errLongRow
	}
	n := copy(p, t.rest)
	t.rest = t.rest[n:]
	t.budget -= n
	return n, nil
}

// newTable reads the heads. It fails with a [zonewire.ErrInvalid] that names the columns when the one that must be
// there is not.
func newTable(in *lines, known map[string]string, must ...string) (*table, error) {
	t := &table{in: in, heads: known, comma: ','}
	for {
		d, err := in.next()
		if err != nil {
			return nil, err
		}
		if trimSpace(d.Text) == "" {
			continue
		}
		t.state.Charset = d.Charset
		t.comma = separator(d.Text)
		r := csv.NewReader(strings.NewReader(d.Text))
		r.Comma, r.LazyQuotes = t.comma, true
		cells, err := r.Read()
		if err != nil {
			return nil, zonewire.Invalidf("the heads of the columns cannot be read: %v", err)
		}
		for _, c := range cells {
			t.columns = append(t.columns, known[head(c)])
		}
		break
	}
	for _, name := range must {
		found := false
		for _, c := range t.columns {
			found = found || c == name
		}
		if !found {
			return nil, zonewire.Invalidf("no column is named %s", strings.Join(spellings(known, name), " or "))
		}
	}
	t.offset = in.n
	t.csv = csv.NewReader(t)
	t.csv.Comma = t.comma
	t.csv.FieldsPerRecord = -1
	t.csv.TrimLeadingSpace = t.comma != '\t'
	t.csv.ReuseRecord = true
	return t, nil
}

// next returns the next row, or io.EOF, or what the file could not be read for. Empty rows are passed over.
func (t *table) next() (row, error) {
	for {
		t.budget, t.bad, t.state.Replaced = maxLine, nil, 0
		begin := t.in.n + 1
		cells, err := t.csv.Read()
		switch {
		case t.err != nil:
			return row{}, t.err
		case t.bad != nil: // whatever of the row came before it is lost with it; the next line begins a row
			r := row{line: t.in.n, err: t.bad}
			if errors.Is(t.bad, errLongRow) {
				r.line = begin // where the quote is to be looked for
			}
			return r, nil
		case errors.Is(err, io.EOF):
			return row{}, io.EOF
		}
		at := t.in.n
		if err != nil {
			var parse *csv.ParseError
			reason := err
			if errors.As(err, &parse) {
				at, reason = t.offset+parse.StartLine, parse.Err
			}
			return row{line: at, err: zonewire.Invalidf("not CSV: %v", reason)}, nil
		}
		if l, _ := t.csv.FieldPos(0); l > 0 {
			at = t.offset + l
		}
		r := row{cells: map[string]string{}, line: at, charset: t.state.Charset, replaced: t.state.Replaced}
		for i, c := range cells {
			if i < len(t.columns) && t.columns[i] != "" && trimSpace(c) != "" && r.cells[t.columns[i]] == "" {
				r.cells[t.columns[i]] = c
			}
		}
		if len(r.cells) > 0 {
			return r, nil
		}
	}
}

func readCSV(in *lines, opts Options, yield func(func() Record) bool) {
	t, err := newTable(in, articleHeads, "title")
	if err != nil {
		if !errors.Is(err, io.EOF) {
			yield(failed(max(in.n, 1), err))
		}
		return
	}
	for {
		r, err := t.next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			yield(failed(in.n+1, err))
			return
		}
		if !yield(func() Record { return r.record(opts) }) {
			return
		}
	}
}

func (r row) record(opts Options) Record {
	if r.err != nil {
		return Record{Line: r.line, Err: r.err}
	}
	c := r.cells
	f := fields{
		zone: c["zone"], id: c["id"], url: c["url"], title: c["title"], summary: c["summary"],
		html: c["content_html"], text: c["content_text"], body: c["content"],
		source: c["source"], author: c["author"], category: c["category"],
		city: c["city"], province: c["province"], language: c["language"],
		published: c["published"], deadline: c["deadline"], image: c["image"],
	}
	for _, u := range strings.FieldsFunc(c["attachments"], func(r rune) bool { return strings.ContainsRune("; \t\r\n；、", r) }) {
		f.attachments = append(f.attachments, zonewire.Attachment{URL: u})
	}
	a, warnings, err := f.article(opts)
	a.Charset = r.charset
	warnings = append(replacedWarning(Decoded{Charset: r.charset, Replaced: r.replaced}), warnings...)
	// Excel ends a cell here and says nothing.
	const excelCell = 32767
	for _, body := range []string{f.html, f.text, f.body} {
		if n := utf8.RuneCountInString(body); n >= excelCell-1 && n <= excelCell {
			warnings = append(warnings, fmt.Sprintf("the content has %d characters, where Excel cuts a cell: its end may be missing", n))
		}
	}
	return Record{Article: a, Line: r.line, Err: err, Warnings: warnings}
}

// head is a column's head as it is looked up.
func head(s string) string {
	return strings.ReplaceAll(squeeze(zonewire.CleanText(trimSpace(s))), "-", "_")
}

func spellings(known map[string]string, name string) []string {
	out := []string{name}
	for other, n := range known {
		if n == name && other != name && other[0] >= utf8.RuneSelf && (len(out) == 1 || len(other) < len(out[1])) {
			out = append(out[:1], other)
		}
	}
	return out
}

// separator is the character that parts the columns: what stands most often between the heads.
func separator(heads string) rune {
	best := ','
	for _, c := range "\t;" {
		if strings.Count(heads, string(c)) > strings.Count(heads, string(best)) {
			best = c
		}
	}
	return best
}

var cellEnds = regexp.MustCompile(`[,\t;]`)

// looksLikeHeads reports whether a line names the columns of an article table.
func looksLikeHeads(s string) bool {
	found := 0
	title := false
	for _, c := range cellEnds.Split(s, -1) {
		name := articleHeads[head(strings.Trim(strings.TrimSpace(c), `"`))]
		if name != "" {
			found++
		}
		title = title || name == "title"
	}
	return title && found >= 2
}

// Reject is a row that cannot be used, and why. Line 0 means the whole file.
type Reject struct {
	Line int
	Err  error
}

// ZonesCSV reads a table of zones: columns slug, code, name, name_en, level, type, province, city, homepage, language
// and aliases (parted by ; or 、), or their Chinese heads. A row without a slug gets its code as slug. A failure to read
// is the last Reject, and no [zonewire.ErrInvalid].
func ZonesCSV(r io.Reader) ([]zonewire.Zone, []Reject) {
	in := newLines(r)
	t, err := newTable(in, zoneHeads, "name")
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = zonewire.Invalidf("the file is empty")
		}
		return nil, []Reject{{Line: in.n, Err: err}}
	}
	var zones []zonewire.Zone
	var rejects []Reject
	seen := map[string]int{}
	for {
		r, err := t.next()
		if errors.Is(err, io.EOF) {
			return zones, rejects
		}
		if err != nil {
			return zones, append(rejects, Reject{Line: in.n + 1, Err: err})
		}
		z, err := r.zone()
		if err == nil && seen[z.Slug] > 0 {
			err = zonewire.Invalidf("zone %s stands in line %d already", z.Slug, seen[z.Slug])
		}
		if err != nil {
			rejects = append(rejects, Reject{Line: r.line, Err: err})
			continue
		}
		seen[z.Slug] = r.line
		zones = append(zones, z)
	}
}

func (r row) zone() (zonewire.Zone, error) {
	if r.err != nil {
		return zonewire.Zone{}, r.err
	}
	get := func(name string) string { return line(r.cells[name]) }
	z := zonewire.Zone{
		Slug: strings.ToLower(get("slug")), Code: get("code"), Name: get("name"), NameEn: get("name_en"),
		Level: choice(get("level"), zoneLevels), Type: choice(get("type"), zoneTypes),
		Province: get("province"), City: get("city"), Language: get("language"),
	}
	if z.Slug == "" {
		z.Slug = strings.ToLower(z.Code)
	}
	if z.Slug == "" {
		return z, zonewire.Invalidf("zone %s has neither slug nor code", first(z.Name, "without a name"))
	}
	if z.Language != "" && languageTag(z.Language) == "" {
		return z, zonewire.Invalidf("zone %s: language %q is no language tag", z.Slug, z.Language)
	}
	z.Language = languageTag(z.Language)
	if home := get("homepage"); home != "" {
		if !strings.Contains(home, "://") {
			home = "http://" + home
		}
		if _, ok := parseURL(home); !ok {
			return z, zonewire.Invalidf("zone %s: homepage %q is no http or https address", z.Slug, home)
		}
		z.Homepage = home
	}
	for _, alias := range strings.FieldsFunc(get("aliases"), func(r rune) bool { return strings.ContainsRune(";；、", r) }) {
		if alias = strings.TrimSpace(alias); alias != "" {
			z.Aliases = append(z.Aliases, alias)
		}
	}
	return z, z.Validate()
}

var (
	zoneLevels = [][2]string{{"国家", "national"}, {"省", "provincial"}, {"自治区", "provincial"}, {"市", "municipal"}, {"县", "other"}, {"其他", "other"}, {"其它", "other"}}
	zoneTypes  = [][2]string{{"经济", "etdz"}, {"经开", "etdz"}, {"高新", "hidz"}, {"海关", "customs"}, {"保税", "customs"}, {"出口加工", "customs"},
		{"边境", "border"}, {"跨境", "border"}, {"其他", "other"}, {"其它", "other"}}
)

// choice turns a Chinese value into ours. One that is neither stays as it is, for Validate to refuse by name.
func choice(s string, words [][2]string) string {
	if s != "" && s[0] >= utf8.RuneSelf {
		// 边境经济合作区 also says 经济: the more special word counts, and the list has it later.
		for i := len(words) - 1; i >= 0; i-- {
			if strings.Contains(s, words[i][0]) {
				return words[i][1]
			}
		}
	}
	return strings.ToLower(s)
}
