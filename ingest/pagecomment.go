package ingest

import (
	"regexp"
	"strings"

	"github.com/PuerkitoBio/goquery"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// commented is a field that Hanweb's templates delimit by comments:
//
//	<!--<$[信息来源]>begin-->区融媒体中心<!--<$[信息来源]>end-->
type commented struct {
	text  string
	nodes []*html.Node // what stands between the comments, where both have one parent
}

var fieldComment = regexp.MustCompile(`^\s*<\$?\[([^\]<>]{1,40})\]>\s*(begin|end)\s*$`)

// commentFields reads the fields that a page delimits by comments, by the name of the article's field. Of fields that stand
// twice the first that is not empty counts.
func commentFields(doc *goquery.Document) map[string]commented {
	fields := map[string]commented{}
	open := map[string]*html.Node{} // by the name in the comment
	text := map[string]*strings.Builder{}
	for n := range doc.Get(0).Descendants() {
		switch n.Type {
		case html.TextNode:
			if len(open) > 0 && (n.Parent == nil || !dropped[n.Parent.Data]) {
				for name := range open {
					text[name].WriteString(n.Data)
				}
			}
		case html.CommentNode:
			m := fieldComment.FindStringSubmatch(n.Data)
			if m == nil {
				continue
			}
			name, field := m[1], commentField(m[1])
			if m[2] == "begin" {
				if field != "" && len(open) < 20 {
					open[name], text[name] = n, &strings.Builder{}
				}
				continue
			}
			begin := open[name]
			if begin == nil {
				continue
			}
			delete(open, name)
			c := commented{text: oneLine(text[name].String())}
			if begin.Parent == n.Parent {
				for s := begin.NextSibling; s != nil && s != n; s = s.NextSibling {
					c.nodes = append(c.nodes, s)
				}
			}
			if have := fields[field]; have.text == "" && len(have.nodes) == 0 {
				fields[field] = c
			}
		}
	}
	return fields
}

// commentField is the field that the name in a comment means, or "".
func commentField(name string) string {
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(name, p) {
				return true
			}
		}
		return false
	}
	switch {
	case has("副标题", "肩标题", "引题", "生成", "失效", "生效"):
		return ""
	case has("标题"):
		return "title"
	case has("来源", "发文单位"):
		return "source"
	case has("发布日期", "发布时间", "发文日期", "发表日期"):
		return "published"
	case has("作者"):
		return "author"
	case has("附件"):
		return "attachments"
	case has("信息内容", "文章内容", "正文"):
		return "content"
	}
	return ""
}

// copied is a div with copies of the nodes inside, which can be changed without a change to the page.
func copied(doc *goquery.Document, nodes []*html.Node) *html.Node {
	div := &html.Node{Type: html.ElementNode, DataAtom: atom.Div, Data: "div"}
	for _, n := range doc.FindNodes().AddNodes(nodes...).Clone().Nodes {
		div.AppendChild(n)
	}
	return div
}
