package api

import (
	"net/http"
	"net/url"
	"strconv"

	"zonewire"
)

// collectorDialect is the value of compat with which collector tools ask to be answered in their words: always 200, with a code
// that is 0 when all went well.
const collectorDialect = "cms"

type dialectBody struct {
	Code int          `json:"code"`
	Msg  string       `json:"msg"`
	Data *dialectData `json:"data"` // null on a failure
}

type dialectData struct {
	ID  int64  `json:"id"`
	URL string `json:"url"`
}

// collector reports whether a request asks for the dialect. Whether a failure to find a route does is no question.
func (c *call) collector() bool {
	return c.route.dialect && c.URL.Query().Get("compat") == collectorDialect
}

// covers reports whether an article that is known may be overwritten, as the address or a field of the form says.
func (c *call) covers(form url.Values) bool {
	return c.URL.Query().Get("cover") == "1" || form.Get("cover") == "1"
}

// dialectAnswer tells a collector tool where its article went. Each text begins with the words by which these tools know
// success: one that finds its article there already must not try for ever.
func (h *handler) dialectAnswer(s zonewire.Stored) (answer, error) {
	msg := "发布成功"
	switch {
	case s.Result == zonewire.Stale:
		msg += "：文章已存在，未覆盖"
	case s.Result == zonewire.Unchanged:
		msg += "：内容没有变化"
	case s.Result == zonewire.Updated:
		msg += "：文章已更新"
	case s.ZoneID == 0:
		msg += "：尚不知属于哪个开发区，等待归类"
	}
	return say(http.StatusOK, jsonType, dialectBody{Msg: msg, Data: &dialectData{s.ID, h.BaseURL + "/articles/" + strconv.FormatInt(s.ID, 10)}})
}

// dialectFailure is a problem in the words of the dialect.
func dialectFailure(p *problem) answer {
	text := map[int]string{
		http.StatusBadRequest:            "请求格式有误",
		http.StatusUnauthorized:          "密钥无效",
		http.StatusForbidden:             "此密钥不能发布到该开发区",
		http.StatusConflict:              "同一请求正在处理",
		http.StatusGone:                  "文章已撤稿，不再接收",
		http.StatusRequestEntityTooLarge: "内容过大",
		http.StatusUnsupportedMediaType:  "内容类型不支持",
		http.StatusUnprocessableEntity:   "内容有误",
		http.StatusServiceUnavailable:    "暂时无法保存，请稍后重试",
	}[p.Status]
	if text == "" {
		text = "服务器内部错误"
	}
	a, err := say(http.StatusOK, jsonType, dialectBody{Code: p.Status, Msg: text + "（" + p.Detail + "）"})
	if err != nil { // strings and numbers can always be written
		a.status = http.StatusInternalServerError
	}
	a.meant, a.header = p.Status, p.header
	return a
}
