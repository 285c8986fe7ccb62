package poll_test

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	listURL  = "http://portal.example/col/col8/index.html"
	robotURL = "http://portal.example/robots.txt"
)

// portal is a site with a list of articles, the newest first, ten a page.
type portal struct {
	o        *origin
	articles int // so many so far; the number of an article is in its address
	extra    string
	pages    int // of the list
}

// newPortal scripts a portal that has so many articles and allows everything to everybody.
func newPortal(o *origin, articles int) *portal {
	p := &portal{o: o}
	o.on(robotURL, statusOnly(404))
	p.publish(articles)
	return p
}

func articleURL(n int) string {
	return fmt.Sprintf("http://portal.example/art/2000/1/1/art_8_%d.html", n)
}

// publish adds articles on top of the list.
func (p *portal) publish(n int) {
	for range n {
		p.articles++
		number, at := p.articles, time.Now()
		p.o.on(articleURL(number), func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, articlePage(number, at))
		})
	}
	p.pages = (p.articles + 9) / 10
	for page := range p.pages {
		p.o.on(p.listURL(page), func(w http.ResponseWriter, r *http.Request) {
			serveFeed(w, r, fmt.Sprintf(`"list %d"`, p.articles), p.list(page))
		})
	}
}

func (p *portal) listURL(page int) string {
	if page == 0 {
		return listURL
	}
	return fmt.Sprintf("http://portal.example/col/col8/index_%d.html", page+1)
}

func (p *portal) list(page int) string {
	var b strings.Builder
	b.WriteString(`<!DOCTYPE html><html><head><meta charset="utf-8"><title>园区动态-临江开发区门户</title></head><body>
<div class="nav"><a href="/">首页</a> <a href="/col/col1/index.html">园区概况</a> <a href="/col/col8/index.html">园区动态</a></div>
<ul class="news-list">`)
	for n := p.articles - 10*page; n > max(p.articles-10*(page+1), 0); n-- {
		fmt.Fprintf(&b, `<li><a href="/art/2000/1/1/art_8_%d.html" title="%s">%s</a><span>%s</span></li>`, n, articleTitle(n), articleTitle(n), time.Now().Format("2006-01-02"))
	}
	b.WriteString(p.extra + `</ul>`)
	if page+1 < p.pages {
		fmt.Fprintf(&b, `<div class="page"><a href="index_%d.html">下一页</a></div>`, page+2)
	}
	return b.String() + `<div class="footer">版权所有：临江开发区门户</div></body></html>`
}

func articleTitle(n int) string {
	return fmt.Sprintf("临江开发区第%d号新材料厂房项目开工建设", n)
}

func articlePage(n int, at time.Time) string {
	return fmt.Sprintf(`<!DOCTYPE html><html><head><meta charset="utf-8"><title>%[1]s-临江开发区门户</title>
<meta name="ArticleTitle" content="%[1]s"><meta name="PubDate" content="%[2]s"><meta name="ContentSource" content="临江融媒">
</head><body><div class="nav"><a href="/">首页</a></div><h1>%[1]s</h1><div id="zoom"><p>昨天上午，临江开发区第%[3]d号厂房在东区工地开工，施工单位已经进场，预计工期十四个月。</p>
<p>项目建成以后，每年可以生产轻质板材三百万平方米，新增岗位二百八十个，供应周边各县的装配式建筑工地。</p></div>
<div class="footer">版权所有：临江开发区门户</div></body></html>`, articleTitle(n), at.In(time.FixedZone("", 8*3600)).Format("2006-01-02 15:04"), n)
}
