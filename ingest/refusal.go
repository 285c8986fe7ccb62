package ingest

import (
	"errors"
	"regexp"
	"strings"

	"github.com/PuerkitoBio/goquery"

	"zonewire"
)

const (
	sorry  = `(?:(?:很|非常|真)?(?:对不起|抱歉)|sorry)?[,!。]?`
	isGone = `(?:地址)?(?:不存在|未找到|没有找到|找不到|(?:可能)?已(?:经)?(?:被)?(?:删除|移除|下线|失效)|无法(?:访问|找到|显示)).{0,30}`
)

// Errors that servers send with the status 200. An article may speak of such things, so a page is taken for one only by
// its title or heading as a whole, or by the phrase where the page has hardly any other text.
var (
	missingPage = regexp.MustCompile(`^(?:(?:错误|error|http|状态码)?[:\-]?404(?:[-_|:!！]|错误|页面|notfound|error|$).*|` +
		sorry + `(?:您|你)?(?:所|要|想)?(?:访问|浏览|查找|查看|请求|找)的(?:页面|网页|文件|内容|信息|文章|资源|链接)` + isGone + `|` +
		sorry + `(?:该|此|当前)?(?:页面|网页|链接)` + isGone + `|` +
		sorry + `(?:该|此)?(?:信息|文章|内容)(?:不存在|已(?:经)?(?:被)?删除).{0,20}|` +
		sorry + `(?:找不到|无法找到|未找到|没有找到)(?:您|你)?(?:所|要)?(?:访问|请求|查看|浏览|查找)?的?(?:页面|网页|文件|资源|内容).{0,20}|(?:page)?notfound.{0,20})$`)
	brokenServer = regexp.MustCompile(`^(?:(?:http)?(?:50[0234]|403)(?:[-_|:!！]|错误|forbidden|badgateway|internal|service|error|$).*|` +
		`(?:系统|服务器|程序|数据库)(?:内部)?(?:出错|错误|异常|繁忙|连接失败).{0,20}|internalservererror|serviceunavailable|badgateway|forbidden|accessdenied|访问(?:被拒绝|受限|禁止).{0,20}|error|出错(?:了|啦)?[!。]?|错误(?:页面|提示|信息)?)$`)
	wantsBrowser = regexp.MustCompile(`(?:请|需要)(?:先)?(?:开启|启用|打开)(?:您的)?(?:浏览器的?)?(?:javascript|js|cookie)|enablejavascript|javascript(?:is)?(?:required|disabled)|安全(?:验证|检查|检测)中|滑动验证|人机验证|请完成(?:安全)?验证|输入验证码|浏览器(?:安全)?检查|checkingyourbrowser|justamoment`)
	setsCookie   = regexp.MustCompile(`document\.cookie|location(?:\.href|\.replace|\.reload|\s*=)|eval\s*\(|http-equiv=["']?refresh`)
)

// ErrWantsBrowser means that a page is a wall: a script to run, a cookie to bring, a riddle to solve. It comes with
// [zonewire.ErrInvalid].
var ErrWantsBrowser = errors.New("the page wants a browser")

func wallf(format string, args ...any) error {
	return &wall{zonewire.Invalidf(format, args...)}
}

type wall struct{ error }

func (w *wall) Unwrap() []error { return []error{w.error, ErrWantsBrowser} }

// wechatRefusals are what WeChat shows instead of an article.
var wechatRefusals = []struct{ phrase, what string }{
	{"环境异常", "WeChat asks for a browser (环境异常): save the page from one, or push the article"},
	{"已被发布者删除", "the article was deleted by its publisher (已被发布者删除)"},
	{"此内容因违规无法查看", "the article was taken down (此内容因违规无法查看)"},
	{"该公众号已迁移", "the account has moved (该公众号已迁移)"},
	{"此内容发送失败无法查看", "the article was taken down (此内容发送失败无法查看)"},
	{"涉嫌违反相关法律法规和政策", "the article was taken down (涉嫌违反相关法律法规和政策)"},
	{"参数错误", "the address of the article is not whole (参数错误)"},
}

// refusal says what a page is that is an error served as if it were none; nil for any other page.
func refusal(doc *goquery.Document) error {
	body := doc.Find("body")
	text := squeeze(nodeText(firstNode(body)))
	const hardly = 300 // bytes: about a hundred characters
	short := len(text) < hardly
	if doc.Find("#js_content").Length() == 0 {
		for _, r := range wechatRefusals {
			if short && strings.Contains(text, r.phrase) {
				return zonewire.Invalidf("%s", r.what)
			}
		}
	}
	heads := []string{squeeze(doc.Find("head title").First().Text())}
	doc.Find("h1, h2").Each(func(i int, s *goquery.Selection) {
		if i < 2 {
			heads = append(heads, squeeze(s.Text()))
		}
	})
	if short {
		heads = append(heads, text)
	}
	for _, h := range heads {
		switch {
		case missingPage.MatchString(h):
			return zonewire.Invalidf("the page says that it does not exist (%s)", zonewire.Shorten(h, 60))
		case brokenServer.MatchString(h):
			return zonewire.Invalidf("the page is an error of its server (%s)", zonewire.Shorten(h, 60))
		}
	}
	if short {
		if m := wantsBrowser.FindString(text); m != "" {
			return wallf("the page wants a browser (%s): nothing is read from it", zonewire.Shorten(m, 40))
		}
	}
	scripts := doc.Find("script, meta[http-equiv]")
	if text == "" && scripts.Length() > 0 && body.Find("img, iframe, frame").Length() == 0 {
		markup, err := goquery.OuterHtml(doc.Selection)
		if err == nil && setsCookie.MatchString(strings.ToLower(markup)) {
			return wallf("the page wants a browser: it is empty but for a script that sets a cookie or leads elsewhere")
		}
	}
	return nil
}
