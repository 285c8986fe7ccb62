package web_test

import (
	"fmt"
	"strings"
	"time"

	"zonewire"
)

// sample is a store with fictional zones and news: a long zone, an empty one, a closed one and a renamed one, open and
// private lists, articles with everything that a body may hold.
func sample() *fake {
	day := func(d int) time.Time { return time.Date(2026, 11, d, 0, 0, 0, 0, zonewire.Shanghai) }
	f := &fake{
		former: map[string]string{"yunhe-old": "yunhe"},
		zones: []zonewire.Zone{
			{ID: 1, Slug: "yunhe", Name: "云河经济技术开发区", NameEn: "Yunhe Economic and Technological Development Zone", Level: "national", Type: "etdz", Province: "江苏省", City: "常州市", Homepage: "https://www.yunhe.example.gov.cn/", Language: "zh-CN"},
			{ID: 2, Slug: "qingtan", Name: "青滩高新技术产业开发区", Level: "provincial", Type: "hidz", Province: "浙江省", City: "湖州市", Language: "zh-CN"},
			{ID: 3, Slug: "beiling", Name: "北岭综合保税区", Level: "national", Type: "customs", Province: "北京市", City: "北京市", Language: "zh-CN"},
			{ID: 4, Slug: "shiqiao", Name: "石桥工业园区", Province: "江苏省", City: "无锡市", Closed: day(1), MergedInto: "yunhe"},
			{ID: 5, Slug: "nanshan", Name: "南杉边境经济合作区", Province: "云南省", City: "德宏傣族景颇族自治州", Language: "zh-CN"},
			{ID: 6, Slug: "wuming", Name: "无名开发区"},
			{ID: 7, Slug: "gaoping", Name: "高坪工业园区", Closed: day(2)},
		},
		lists: []zonewire.List{
			{ID: 1, Slug: "morning", Title: "开发区早报", Schedule: "0 8 * * 1-5", Timezone: "Asia/Shanghai", All: true, Locale: "zh-CN", NextSlot: day(25).Add(8 * time.Hour)},
			{ID: 2, Slug: "board", Title: "内部参考", Schedule: "0 9 * * 1", Timezone: "Asia/Shanghai", Zones: []string{"yunhe", "qingtan"}, ZoneIDs: []int64{1, 2}, Category: "招商", Keyword: "新能源", Locale: "zh-CN", Private: true, NextSlot: day(30).Add(9 * time.Hour)},
			{ID: 3, Slug: "zhejiang", Title: "Zhejiang Weekly", Schedule: "0 9 * * 1", Timezone: "Europe/Berlin", Province: "浙江省", Locale: "en", Paused: true},
			{ID: 4, Slug: "former", Title: "旧简报", Schedule: "0 9 * * 1", Timezone: "Asia/Shanghai", All: true, Locale: "zh-CN", Removed: day(3)},
			{ID: 5, Slug: "two", Title: "云河与青滩", Schedule: "0 9 * * 1", Timezone: "Asia/Shanghai", Zones: []string{"qingtan", "yunhe"}, ZoneIDs: []int64{1, 2}, Locale: "zh-CN", NextSlot: day(30).Add(9 * time.Hour)},
		},
		subs: map[int64]zonewire.Subscription{
			activeSub:  {ID: activeSub, Subscriber: 7, ListID: 1, List: "morning", State: zonewire.SubActive},
			pendingSub: {ID: pendingSub, Subscriber: 8, ListID: 1, List: "morning", State: zonewire.SubPending},
			leftSub:    {ID: leftSub, Subscriber: 9, ListID: 1, List: "morning", State: zonewire.SubUnsubscribed},
			privateSub: {ID: privateSub, Subscriber: 10, ListID: 2, List: "board", State: zonewire.SubActive},
		},
	}
	titles := []string{
		"云河经开区新能源汽车零部件项目集中开工 总投资 86 亿元",
		"青滩高新区“揭榜挂帅”发布 12 项关键技术需求",
		"北岭综保区前三季度进出口额同比增长 14.2%",
		"南杉边合区：跨境电商监管中心通过验收，月底投入运行",
		"云河经开区召开安全生产专题会议，部署岁末年初重点工作",
	}
	for i := range 120 {
		zone := f.zones[[]int{0, 1, 2, 4, 0}[i%5]]
		if i >= 20 {
			zone = f.zones[0]
		}
		a := zonewire.Article{
			ID: int64(i + 1), Seq: int64(i + 1), Change: int64(i + 1), ZoneID: zone.ID, Zone: zone.Slug, Province: zone.Province, City: zone.City,
			Title: titles[i%5], Summary: "11 月 20 日，园区管委会组织相关部门与企业代表举行现场推进会，通报项目建设进度，协调用地、用电和用工等问题，明确年底前完成主体结构封顶，明年上半年设备进场调试。",
			Source: zone.Name + "管委会", Category: "园区动态", Language: "zh-CN", URL: fmt.Sprintf("https://www.%s.example.gov.cn/news/2026/%d.html", zone.Slug, i+1),
			ContentHTML: "<p>第一段文字。</p>", Published: day(1 + i/5), Precision: zonewire.PrecisionDay, Received: now,
		}
		if i >= 20 {
			a.Title = fmt.Sprintf("%s（第 %d 期）", a.Title, i)
		}
		f.articles = append(f.articles, a)
	}
	rich := &f.articles[118]
	rich.ZoneID, rich.Zone = 1, "yunhe"
	rich.Author = "林一舟"
	rich.Published, rich.Precision = time.Date(2026, 11, 23, 16, 5, 0, 0, zonewire.Shanghai), zonewire.PrecisionMinute
	rich.ContentHTML = `<h1>一、总体情况</h1><p>11 月 23 日，云河经开区举行新能源汽车零部件项目集中开工活动。此次开工的 9 个项目总投资 86 亿元，涵盖电驱系统、轻量化底盘、功率半导体封装等领域，全部达产后预计新增年产值 140 亿元。</p>` +
		`<p>园区负责人介绍，项目从签约到开工平均用时 62 天，“拿地即开工”已成为常态。下一步将围绕链主企业补齐关键环节，推动上下游在 30 分钟车程内配套。</p>` +
		`<h2>二、项目清单</h2><table><thead><tr><th>项目</th><th>投资额（亿元）</th><th>占地（亩）</th><th>主要产品</th><th>预计投产</th><th>建设单位</th></tr></thead><tbody><tr><td>云河电驱</td><td>23.5</td><td>180</td><td>八合一电驱总成</td><td>2027 年 9 月</td><td>云河电驱科技有限公司</td></tr><tr><td>青石底盘</td><td>11.8</td><td>96</td><td>一体化压铸副车架</td><td>2027 年 6 月</td><td>青石精密制造有限公司</td></tr></tbody></table>` +
		`<p>详情见 <a href="https://www.yunhe.example.gov.cn/a/very/long/address/that/does/not/end/` + strings.Repeat("0123456789", 12) + `">https://www.yunhe.example.gov.cn/a/very/long/address/that/does/not/end/` + strings.Repeat("0123456789", 12) + `</a>。</p><p><img src="https://www.yunhe.example.gov.cn/p.jpg" alt="开工现场" width="1600" height="900"></p>`
	rich.Attachments = []zonewire.Attachment{
		{URL: "https://www.yunhe.example.gov.cn/files/list.pdf", Name: "项目清单.pdf", Length: 1_240_000},
		{URL: "javascript:alert(1)", Name: "坏链接"},
	}
	rich.Received, rich.Updated = rich.Published.Add(time.Hour), now
	rich.Deadline = time.Date(2026, 12, 5, 17, 30, 0, 0, zonewire.Shanghai)
	f.revisions = map[int64][]zonewire.Revision{119: {
		{Replaced: now, Title: rich.Title, ContentHTML: `<h2>总体情况</h2><p>此次开工的 8 个项目总投资 68 亿元。</p>`},
		{Replaced: now.Add(-12 * time.Hour), Title: "云河经开区 8 个项目<集中>开工", ContentHTML: `<h2>总体情况</h2><p>此次开工的 8 个项目总投资 68 亿元。</p>`},
	}}
	f.articles[0].Deadline, f.articles[0].DeadlineDay = day(25), true
	f.articles[1].Deadline, f.articles[1].DeadlineDay = day(23), true
	f.articles = append(f.articles,
		zonewire.Article{ID: 201, Deadline: day(30), ZoneID: 1, Zone: "yunhe", Title: "已撤下的消息", Withdrawn: now, DupOf: 2},
		zonewire.Article{ID: 202, Deadline: day(30), ZoneRaw: "未知园区", Title: "等待归档的消息", DupOf: 2},
		zonewire.Article{ID: 203, Change: 1, ZoneID: 5, Zone: "nanshan", Province: "云南省", Title: `<script>alert("标题")</script>`, URL: "javascript:alert(2)", ContentHTML: "<p>正文</p>", Received: now, Suspect: true},
	)
	for _, i := range []int{2, 3, 6, 118} { // the story of article 2
		f.articles[i].DupOf = 2
	}
	f.articles[2].URL = "javascript:alert(3)"
	for i := range 6 {
		f.digests = append(f.digests, zonewire.Digest{ID: int64(i + 1), ListID: 1, List: "morning", Slot: day(17 + i).Add(8 * time.Hour), State: zonewire.DigestSent, Items: 1 + 7*i})
	}
	f.digests[4].State = zonewire.DigestSkipped
	f.digests[3].State = zonewire.DigestCancelled
	f.digests = append(f.digests,
		zonewire.Digest{ID: 7, ListID: 2, List: "board", Slot: day(23).Add(9 * time.Hour), State: zonewire.DigestSent, Items: 4},
		zonewire.Digest{ID: 8, ListID: 3, List: "zhejiang", Slot: day(23).Add(9 * time.Hour), State: zonewire.DigestSent, Items: 4})
	page := func(lang, text string) string {
		return `<!doctype html><html lang="` + lang + `"><head><title>d</title><meta name="viewport" content="width=device-width"></head><body style="margin:0"><h1 style="color:#bb3019">` + text + `</h1></body></html>`
	}
	f.variants = []zonewire.Variant{
		{Digest: 1, Locale: "zh-CN", Web: page("zh-CN", "开发区早报")},
		{Digest: 1, Locale: "en", Web: page("en", "Zone Morning News")},
		{Digest: 7, Locale: "zh-CN", Web: page("zh-CN", "内部参考")},
		{Digest: 8, Locale: "en", Web: page("en", "Zhejiang Weekly")},
	}
	return f
}
