package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestCollectorToolsAreAnsweredInTheirWords(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *site) {
		s.do(ask{method: "PUT", path: "/zones/jintan-edz/articles/gone", body: newsBodyOf("gone")}).wants(t, http.StatusCreated)
		s.do(ask{method: "DELETE", path: "/zones/jintan-edz/articles/gone"}).wants(t, http.StatusNoContent)
		const url = base + "/articles/"
		const form = "id=7&title=青禾湖开工&publish_time=2026-11-24 08:30&content="
		for _, tc := range []struct{ name, path, token, body, want string }{
			{"new", "", "", form + "一", "0 发布成功 " + url + "2"},
			{"known, and not to be overwritten", "", "", form + "二", "0 发布成功：文章已存在，未覆盖 " + url + "2"},
			{"known, to be overwritten", "&cover=1", "", form + "三", "0 发布成功：文章已更新 " + url + "2"},
			{"known, to be overwritten by a field", "", "", form + "四&cover=1", "0 发布成功：文章已更新 " + url + "2"},
			{"known and the same", "&cover=1", "", form + "四", "0 发布成功：内容没有变化 " + url + "2"},
			{"a zone that nobody knows", "", tokenAll, "title=云栖港发车&zone=云栖港开发区", "0 发布成功：尚不知属于哪个开发区，等待归类 " + url + "3"},
			{"a zone of others", "", "", "title=一&zone=qinghe-hidz", "403 此密钥不能发布到该开发区（the article is of zone qinghe-hidz, and this key may push to jintan-edz only）"},
			{"withdrawn", "", "", "id=gone&title=一", "410 文章已撤稿，不再接收（the article was withdrawn, and stays so）"},
			{"without a title", "", "", "content=一", "422 内容有误（title is missing）"},
			{"not a form", "", "", "title=%zz", `400 请求格式有误（not a form: invalid URL escape "%zz"）`},
			{"a token that nobody knows", "", "zw_x", form, "401 密钥无效（the token is not known, or its key was revoked）"},
			{"too long", "", "", strings.Repeat("x", 10<<20+1), "413 内容过大（the body is longer than 10 MB）"},
		} {
			got := s.do(ask{method: "POST", path: "/articles?compat=cms" + tc.path, token: tc.token, kind: "application/x-www-form-urlencoded", body: tc.body}).wants(t, http.StatusOK)
			line := fmt.Sprint(got.json["code"], " ", got.json["msg"])
			if data, ok := got.json["data"].(map[string]any); ok {
				line += fmt.Sprint(" ", data["url"])
			}
			if line != tc.want {
				t.Errorf("%s:\ngot  %s\nwant %s", tc.name, line, tc.want)
			}
		}
		if want := "status=401"; !strings.Contains(s.log.String(), want) {
			t.Errorf("the log does not say %s", want)
		}
		xml := s.do(ask{method: "POST", path: "/articles?compat=cms", kind: "application/xml", body: "<a/>"}).wants(t, http.StatusOK)
		if xml.json["code"] != 415.0 {
			t.Errorf("XML: %s", xml.text)
		}
	})
}
