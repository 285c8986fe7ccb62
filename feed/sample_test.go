package feed_test

import (
	"time"

	"zonewire"
	"zonewire/feed"
)

var site = feed.Site{
	BaseURL:   "https://news.example.org",
	Authority: "news.example.org",
	Year:      2026,
	Title:     "全国开发区新闻",
}

var (
	jintan = zonewire.Zone{ID: 7, Slug: "jintan-edz", Name: "金坛经济开发区", NameEn: "Jintan EDZ", Province: "江苏省", City: "常州市",
		Created: at("2026-01-05T08:00:00Z")}
	harbour = zonewire.Zone{ID: 12, Slug: "linhai-port", Name: "临海港区 & 保税区", Province: "浙江省", City: "台州市",
		Language: "en", NameEn: "Linhai Port <Zone>", Created: at("2026-02-01T08:00:00Z")}
	closed = zonewire.Zone{ID: 31, Slug: "old-park", Name: "老工业园", Closed: at("2026-05-01T00:00:00Z"), Created: at("2026-01-01T00:00:00Z")}
)

func at(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t
}

// articles are what portals do to a feed, newest change first.
func articles() []zonewire.Article {
	return []zonewire.Article{
		{
			ID: 1006, Change: 96, ZoneID: 7, Zone: "jintan-edz",
			URL:         "https://www.jintan.example.cn/新闻/2026?id=1&栏目=要闻",
			Title:       "<AI>产业园开园:R&amp;amp;D 投入增长 <b>12%</b>",
			Summary:     "产业园今日开园,<AI> 企业 23 家入驻。",
			ContentHTML: `<p>产业园今日开园,<a href="/zt/?a=1&b=2">专题</a>。</p><p>数组写作 a[b[0]]>0,表情 😀,生僻字 𠮷𡋟。</p><script>alert(1)</script>`,
			Source:      "开发区管委会", Author: "王小明", Category: "要闻", Language: "zh-CN",
			Image:     "https://www.jintan.example.cn/pic/开园.jpg",
			Published: at("2026-03-12T00:00:00+08:00"), Precision: zonewire.PrecisionDay,
			Received: at("2026-03-12T02:00:00.123Z"), Updated: at("2026-03-14T09:30:00.456Z"),
			Attachments: []zonewire.Attachment{
				{URL: "https://www.jintan.example.cn/f/入园指南.pdf", Name: "入园指南.pdf", Type: "application/pdf", Length: 204800},
				{URL: "https://www.jintan.example.cn/f/list.xlsx", Name: "企业名录"},
				{URL: "https://www.jintan.example.cn/f/list.xlsx", Name: "企业名录(重复)"},
				{URL: "javascript:alert(1)", Name: "坏链接"},
			},
		},
		{
			ID: 1005, Change: 95, ZoneID: 12, Zone: "linhai-port",
			URL:   "http://港区.example.com/a b.html?x=[1]|2%",
			Title: "Port\u0000 opens\u000b new\u001b berth \ufffe", Language: "en",
			ContentHTML: "<p>First paragraph with \"quotes\" &#11; and \x01 control\u0085s.\r\nSecond line.</p>" +
				"<div><img data-src=\"img/1.jpg\" src=\"data:image/gif;base64,AAAA\" onerror=alert(1) style=\"font-family:宋体\"></div>" +
				"<table><tr><td colspan=2 width=100%>cell<td>open</table><a href=\"javascript:alert(1)\">run</a><o:p>office</o:p>",
			Published: at("2026-03-14T09:00:00+08:00"), Precision: zonewire.PrecisionMinute,
			Received: at("2026-03-14T01:05:00Z"), Updated: at("2026-03-14T01:05:00Z"),
		},
		{
			ID: 1004, Change: 94, ZoneID: 7, Zone: "jintan-edz",
			Title:       "没有网址也没有摘要的通知",
			ContentHTML: "<p>各有关单位:</p><p>根据安排,本周六停电检修,请提前做好准备。</p>",
			Category:    "通知公告",
			Published:   at("2099-01-01T00:00:00+08:00"), Precision: zonewire.PrecisionDay, // a slip of the portal
			Received: at("2026-03-14T01:05:00Z"), Updated: at("2026-03-14T01:05:00Z"), // in one instant with 1005
		},
		{
			ID: 1003, Change: 93, ZoneID: 31, Zone: "old-park",
			URL: "ftp://old.example.com/x", Title: "", Summary: "",
			Published: time.Time{}, Received: at("2026-03-10T00:00:00Z"), Updated: time.Time{},
		},
	}
}

func document(zone *zonewire.Zone) feed.Document {
	doc := feed.Document{Zone: zone, Zones: map[int64]zonewire.Zone{7: jintan, 12: harbour, 31: closed}}
	for _, a := range articles() {
		if zone == nil || a.ZoneID == zone.ID {
			doc.Articles = append(doc.Articles, a)
		}
	}
	return doc
}
