package bounce

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// htmlText is what a reader sees of HTML, a block or a table cell a line. What stands in a blockquote is quoted the way
// plain text does it.
func htmlText(s string) string {
	var out strings.Builder
	quoted, hidden := 0, atom.Atom(0)
	z := html.NewTokenizer(strings.NewReader(s))
	for {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			return out.String()
		case html.TextToken:
			if hidden != 0 {
				continue
			}
			text := strings.Join(strings.Fields(string(z.Text())), " ")
			if text != "" {
				out.WriteString(strings.Repeat("> ", min(quoted, 1)))
				out.WriteString(text + " ")
			}
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			name, _ := z.TagName()
			tag := atom.Lookup(name)
			switch tag {
			case atom.Style, atom.Script, atom.Title:
				if hidden = 0; kind == html.StartTagToken {
					hidden = tag
				}
			case atom.Blockquote:
				if kind == html.StartTagToken {
					quoted++
				} else {
					quoted = max(0, quoted-1)
				}
				out.WriteByte('\n')
			case atom.B, atom.I, atom.A, atom.Span, atom.Font, atom.Strong, atom.Em, atom.U, atom.Code, atom.Img:
			default:
				out.WriteByte('\n')
			}
		}
	}
}
