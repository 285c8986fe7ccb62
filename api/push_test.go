package api_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/text/encoding/simplifiedchinese"
)

const newsBody = `{"id":"7","title":"青禾湖开工","content_html":"<p>项目占地百亩。</p>","published":"2026-11-24 08:30"}`

func gbk(t testing.TB, s string) string {
	t.Helper()
	b, err := simplifiedchinese.GB18030.NewEncoder().String(s)
	fatal(t, err)
	return b
}

// fields prints some fields of an answer, "result=added waiting=false".
func (r reply) fields(names ...string) string {
	var parts []string
	for _, name := range names {
		parts = append(parts, fmt.Sprintf("%s=%v", name, r.json[name]))
	}
	return strings.Join(parts, " ")
}

func TestAPushIsKeptInWhateverShapeItComes(t *testing.T) {
	const wanted = "result=added zone=jintan-edz external_id=7 title=青禾湖开工 content_html=<p>项目占地百亩。</p> published=2026-11-24T08:30:00+08:00"
	multi := func(parts ...string) string {
		var b strings.Builder
		for i := 0; i < len(parts); i += 2 {
			fmt.Fprintf(&b, "--x\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n", parts[i], parts[i+1])
		}
		return b.String() + "--x--\r\n"
	}
	form := "id=7&title=青禾湖开工&content=<p>项目占地百亩。</p>&publish_time=2026-11-24 08:30"
	for _, tc := range []struct{ name, kind, body string }{
		{"JSON", "application/json", newsBody},
		{"JSON with a charset", "application/json; charset=utf-8", newsBody},
		{"JSON in GBK", "application/json; charset=gbk", gbk(t, newsBody)},
		{"JSON in GBK that says nothing", "application/json", gbk(t, newsBody)},
		{"JSON of a kind of its own", "application/vnd.portal.news+json", newsBody},
		{"JSON that curl calls a form", "application/x-www-form-urlencoded", newsBody},
		{"JSON without a type", "-", newsBody},
		{"JSON with a type that cannot be read", "application/json; charset", newsBody},
		{"JSON with the names of collector tools", "application/json", `{"id":7,"title":"青禾湖开工","content":"<p>项目占地百亩。</p>","publish_time":1795480200}`},
		{"a form", "application/x-www-form-urlencoded", form},
		{"a form in GBK", "application/x-www-form-urlencoded; charset=gbk", gbk(t, form)},
		{"a form in GBK that says so inside", "application/x-www-form-urlencoded", gbk(t, form) + "&_charset_=gbk"},
		{"a form with a space as a plus sign", "application/x-www-form-urlencoded", strings.Replace(form, " ", "+", 1)},
		{"a form with Chinese names", "application/x-www-form-urlencoded", "编号=7&标题=青禾湖开工&正文=<p>项目占地百亩。</p>&发布时间=2026年11月24日 08时30分"},
		{"a multipart form", "multipart/form-data; boundary=x",
			multi(`name="id"`, "7", `name="title"`, "青禾湖开工", `name="content"`, "<p>项目占地百亩。</p>", `name="publish_time"`, "2026-11-24 08:30")},
		{"a multipart form in GBK", "multipart/form-data; boundary=x",
			multi(`name="id"`, "7", `name="title"`, gbk(t, "青禾湖开工"), `name="content"`, gbk(t, "<p>项目占地百亩。</p>"), `name="publish_time"`, "2026-11-24 08:30")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := memorySite(t)
			got := s.do(ask{method: "POST", path: "/articles", kind: tc.kind, body: tc.body}).wants(t, http.StatusCreated)
			if got := got.fields("result", "zone", "external_id", "title", "content_html", "published"); got != wanted {
				t.Errorf("got  %s\nwant %s", got, wanted)
			}
		})
	}
}

func TestAPushIsAnUpsert(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *site) {
		push := func(body string, status int) reply {
			t.Helper()
			return s.do(ask{method: "POST", path: "/articles", body: body}).wants(t, status)
		}
		first := push(newsBody, http.StatusCreated)
		if !strings.Contains(first.text, `"<p>项目占地百亩。</p>"`) {
			t.Errorf("not to be read by people: %s", first.text)
		}
		if got, want := first.header.Get("Location"), base+"/api/v1/articles/1"; got != want {
			t.Errorf("Location %q, want %q", got, want)
		}
		again := push(newsBody, http.StatusOK)
		if again.json["result"] != "unchanged" || again.header.Get("Location") != "" || again.header.Get("Etag") != first.header.Get("Etag") {
			t.Errorf("again: %v %s", again.header, again.text)
		}
		changed := push(strings.Replace(newsBody, "百亩", "千亩", 1), http.StatusOK)
		if changed.json["result"] != "updated" || changed.json["id"] != first.json["id"] || changed.header.Get("Etag") == first.header.Get("Etag") {
			t.Errorf("changed: %v %s", changed.header, changed.text)
		}
		s.do(ask{method: "DELETE", path: "/zones/jintan-edz/articles/7"}).wants(t, http.StatusNoContent)
		push(newsBody, http.StatusGone)
	})
}

func TestAKeyPushesOnlyToItsZones(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *site) {
		s.do(ask{method: "POST", path: "/articles", token: tokenAll, body: `{"zone":"青禾高新技术产业开发区","url":"https://portal.example/9","title":"青禾湖的新闻"}`}).wants(t, http.StatusCreated)
		for _, tc := range []struct {
			name, token, body string
			status            int
			want              string
		}{
			{"its own by alias", tokenJintan, `{"zone":"金坛经开区","title":"一"}`, 201, "zone=jintan-edz waiting=false detail=<nil>"},
			{"its only one unsaid", tokenJintan, `{"title":"二"}`, 201, "zone=jintan-edz waiting=false detail=<nil>"},
			{"another", tokenJintan, `{"zone":"qinghe-hidz","title":"三"}`, 403, "zone=<nil> waiting=<nil> detail=the article is of zone qinghe-hidz, and this key may push to jintan-edz only"},
			{"one that nobody knows", tokenJintan, `{"zone":"云栖港开发区","title":"四"}`, 403, `zone=<nil> waiting=<nil> detail=no zone is known as "云栖港开发区", and this key may push to jintan-edz only`},
			{"an address of another zone", tokenJintan, `{"url":"https://portal.example/9","title":"五"}`, 403, "zone=<nil> waiting=<nil> detail=the article is of zone qinghe-hidz, and this key may push to jintan-edz only"},
			{"one of two", tokenTwo, `{"zone":"qinghe-hidz","title":"六"}`, 201, "zone=qinghe-hidz waiting=false detail=<nil>"},
			{"neither of two", tokenTwo, `{"title":"七"}`, 403, "zone=<nil> waiting=<nil> detail=the article names no zone: name one of jintan-edz, qinghe-hidz"},
			{"a key of every zone, one that nobody knows", tokenAll, `{"zone":"云栖港开发区","title":"八"}`, 201, "zone= waiting=true detail=<nil>"},
			{"a key of every zone, none", tokenAll, `{"title":"九"}`, 201, "zone= waiting=true detail=<nil>"},
			{"a zone that was merged", tokenAll, `{"zone":"merged-park","title":"十"}`, 201, "zone=jintan-edz waiting=false detail=<nil>"},
		} {
			got := s.do(ask{method: "POST", path: "/articles", token: tc.token, body: tc.body})
			if got.status != tc.status || got.fields("zone", "waiting", "detail") != tc.want {
				t.Errorf("%s: %d %s\nwant %d %s", tc.name, got.status, got.fields("zone", "waiting", "detail"), tc.status, tc.want)
			}
		}
	})
}

func TestWhatCannotBeUsedIsNamed(t *testing.T) {
	s := memorySite(t)
	for _, tc := range []struct {
		name string
		ask  ask
		want string // status, field, detail
	}{
		{"no title", ask{method: "POST", path: "/articles", body: `{"id":1}`}, "422 title: title is missing"},
		{"a title that is a list", ask{method: "POST", path: "/articles", body: `{"title":["一"]}`}, "422 title: field title must be a string, not an array"},
		{"an id too long", ask{method: "POST", path: "/articles", body: `{"title":"一","id":"` + strings.Repeat("长", 513) + `"}`}, "422 id: id is longer than 512 characters"},
		{"no JSON", ask{method: "POST", path: "/articles", body: `{"title":`}, "400 : not JSON: unexpected end of JSON input"},
		{"nothing", ask{method: "POST", path: "/articles", kind: "application/json"}, "400 : not JSON: unexpected end of JSON input"},
		{"no text", ask{method: "POST", path: "/articles", body: strings.Repeat("\x01\xff", 50)}, "400 : this is not text"},
		{"a list", ask{method: "POST", path: "/articles", body: `[{"title":"一"}]`}, "422 : this must be a JSON object, not an array"},
		{"a form that is none", ask{method: "POST", path: "/articles", kind: "application/x-www-form-urlencoded", body: "title=%zz"}, "400 : not a form"},
		{"a multipart form cut off", ask{method: "POST", path: "/articles", kind: "multipart/form-data; boundary=x", body: "--x\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\n一"}, "400 : not a form"},
		{"a multipart form without boundary", ask{method: "POST", path: "/articles", kind: "multipart/form-data", body: "--x"}, "400 : not a form: the Content-Type has no boundary"},
		{"XML", ask{method: "POST", path: "/articles", kind: "application/xml", body: "<a/>"}, "415 : send Content-Type"},
		{"text", ask{method: "POST", path: "/articles", kind: "text/plain", body: "标题"}, "415 : send Content-Type"},
		{"gzip", ask{method: "POST", path: "/articles", header: map[string]string{"Content-Encoding": "gzip"}, body: "x"}, "415 : Content-Encoding gzip is not taken"},
		{"too long", ask{method: "POST", path: "/articles", body: `{"title":"` + strings.Repeat("x", 10<<20) + `"}`}, "413 : the body is longer than 10 MB"},
		{"another dialect", ask{method: "POST", path: "/articles?compat=wordpress", body: newsBody}, "400 compat: compat"},
		{"a zone that nobody knows", ask{method: "PUT", path: "/zones/nowhere/articles/1", body: newsBody}, "404 : "},
		{"a zone that is closed", ask{method: "PUT", path: "/zones/old-park/articles/7", token: tokenAll, body: newsBody}, "410 : zone old-park is closed"},
		{"a zone of others", ask{method: "PUT", path: "/zones/qinghe-hidz/articles/7", body: newsBody}, "403 : this key may push to jintan-edz only"},
		{"another id", ask{method: "PUT", path: "/zones/jintan-edz/articles/8", body: newsBody}, `422 id: the body says id "7", the address "8"`},
		{"another zone", ask{method: "PUT", path: "/zones/jintan-edz/articles/7", body: `{"title":"一","zone":"青禾高新区"}`}, `422 zone: the body says zone "青禾高新区", the address "jintan-edz"`},
		{"an id of two lines", ask{method: "PUT", path: "/zones/jintan-edz/articles/7%0A8", body: newsBody}, "422 id: the id in the address"},
		{"an id that is no text", ask{method: "PUT", path: "/zones/jintan-edz/articles/%FF", body: newsBody}, "404 : there is nothing at this address"},
		{"an empty id", ask{method: "PUT", path: "/zones/jintan-edz/articles/", body: newsBody}, "404 : there is nothing at this address"},
		{"a path that is not clean", ask{method: "GET", path: "//articles"}, "404 : there is nothing at this address"},
		{"another address", ask{method: "GET", path: "/subscribers"}, "404 : there is nothing at this address"},
		{"another method", ask{method: "PATCH", path: "/zones/jintan-edz/articles/7", body: newsBody}, "405 : this address takes DELETE, GET, HEAD, PUT"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := s.do(tc.ask)
			field := ""
			if all, ok := got.json["errors"].([]any); ok {
				field = all[0].(map[string]any)["field"].(string)
			}
			if line := fmt.Sprintf("%d %s: %v", got.status, field, got.json["detail"]); !strings.HasPrefix(line, tc.want) {
				t.Errorf("got  %s\nwant %s", line, tc.want)
			}
			if int(got.json["status"].(float64)) != got.status || got.json["title"] != http.StatusText(got.status) {
				t.Errorf("problem %s", got.text)
			}
			if allow := got.header.Get("Allow"); (got.status == http.StatusMethodNotAllowed) != (allow == "DELETE, GET, HEAD, PUT") {
				t.Errorf("Allow %q", allow)
			}
		})
	}
}

func TestWhatWasMendedIsSaid(t *testing.T) {
	s := memorySite(t)
	got := s.do(ask{method: "POST", path: "/articles", kind: "multipart/form-data; boundary=x",
		body: "--x\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\n一\r\n" +
			"--x\r\nContent-Disposition: form-data; name=\"language\"\r\n\r\n官话\r\n" +
			"--x\r\nContent-Disposition: form-data; name=\"附件\"; filename=\"a.pdf\"\r\n\r\nPDF\r\n--x--\r\n"}).wants(t, http.StatusCreated)
	want := `[language "官话" is no language tag and is ignored there is no date: the time of arrival is taken the file a.pdf is not taken: give its address in attachments]`
	if got := fmt.Sprint(got.json["warnings"]); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestPutNamesTheArticleByItsAddress(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *site) {
		put := func(path, body string, header ...string) reply {
			t.Helper()
			a := ask{method: "PUT", path: path, token: tokenAll, body: body, header: map[string]string{}}
			for i := 0; i < len(header); i += 2 {
				a.header[header[i]] = header[i+1]
			}
			return s.do(a)
		}
		const path, body = "/zones/jintan-edz/articles/7", `{"title":"青禾湖开工","published":"2026-11-24"}`
		put(path, body, "If-Match", "*").wants(t, http.StatusPreconditionFailed)
		first := put(path, body, "If-None-Match", "*").wants(t, http.StatusCreated)
		put(path, body, "If-None-Match", "*").wants(t, http.StatusPreconditionFailed)
		put(path, newsBody, "If-Match", `"999"`).wants(t, http.StatusPreconditionFailed)
		second := put(path, newsBody, "If-Match", `"999", `+first.header.Get("Etag")).wants(t, http.StatusOK)
		if second.json["result"] != "updated" || second.header.Get("Etag") == first.header.Get("Etag") {
			t.Errorf("updated: %s %s", second.header.Get("Etag"), second.text)
		}
		put(path, body, "If-Match", first.header.Get("Etag")).wants(t, http.StatusPreconditionFailed)
		put(path, body, "If-None-Match", second.header.Get("Etag")).wants(t, http.StatusPreconditionFailed)
		put(path, newsBody, "If-Match", "*").wants(t, http.StatusOK)

		got := s.do(ask{method: "GET", path: path}).wants(t, http.StatusOK)
		if got.json["title"] != "青禾湖开工" || got.header.Get("Etag") != second.header.Get("Etag") {
			t.Errorf("got %s %s", got.header.Get("Etag"), got.text)
		}
		s.do(ask{method: "GET", path: path, header: map[string]string{"If-None-Match": got.header.Get("Etag")}}).wants(t, http.StatusNotModified)

		deep := put("/zones/jintan-edz/articles/https%3A%2F%2Fportal.example%2Fa%3Fid=1", `{"title":"甲"}`).wants(t, http.StatusCreated)
		if deep.json["external_id"] != "https://portal.example/a?id=1" {
			t.Errorf("id %v", deep.json["external_id"])
		}
		merged := put("/zones/merged-park/articles/8", `{"title":"乙"}`).wants(t, http.StatusCreated)
		if merged.json["zone"] != "jintan-edz" {
			t.Errorf("zone %v", merged.json["zone"])
		}
		for _, zone := range []string{"金坛经开区", "江苏金坛经济开发区", "jintan-edz"} {
			put("/zones/jintan-edz/articles/9", `{"title":"丙","zone":"`+zone+`"}`)
		}
		put("/zones/jintan-edz/articles/10", `{"title":"丁","url":"https://portal.example/10"}`).wants(t, http.StatusCreated)
		put("/zones/jintan-edz/articles/12", `{"title":"戊","url":"https://portal.example/10"}`).wants(t, http.StatusCreated) // some systems give one address to all
		same := put("/zones/jintan-edz/articles/11", `{"title":"丁","url":"https://portal.example/10"}`).wants(t, http.StatusOK)
		if !strings.Contains(fmt.Sprint(same.json["warnings"]), `its url is that of article`) {
			t.Errorf("an address under two ids: %s", same.text)
		}
	})
}

func TestTwoEditorsDoNotOverwriteEachOther(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *site) {
		const path = "/zones/jintan-edz/articles/7"
		first := s.do(ask{method: "PUT", path: path, body: newsBody}).wants(t, http.StatusCreated)
		// The other's push comes between the look at the condition and the transaction.
		slow := opens(t, &interrupted{s.store, func() {
			s.do(ask{method: "PUT", path: path, body: `{"title":"另一位编辑的标题"}`}).wants(t, http.StatusOK)
		}}, nil, nil)
		slow.do(ask{method: "PUT", path: path, body: `{"title":"晚了一步"}`, header: map[string]string{"If-Match": first.header.Get("Etag")}}).wants(t, http.StatusPreconditionFailed)
		if got := s.do(ask{method: "GET", path: path}); got.json["title"] != "另一位编辑的标题" {
			t.Errorf("title %v", got.json["title"])
		}
	})
}

// unread fails the test when it is read.
type unread struct{ t testing.TB }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body is read")
	return 0, io.EOF
}

func TestABodyThatSaysItIsTooLongIsNotRead(t *testing.T) {
	r := httptest.NewRequest("POST", "/api/v1/articles", unread{t})
	r.ContentLength = 10<<20 + 1
	r.Header.Set("Authorization", "Bearer "+tokenJintan)
	memorySite(t).send(r).wants(t, http.StatusRequestEntityTooLarge)
}

func TestABodyOfAStrangerIsNotRead(t *testing.T) {
	r := httptest.NewRequest("POST", "/api/v1/articles", unread{t})
	r.ContentLength = 100
	memorySite(t).send(r).wants(t, http.StatusUnauthorized)
}

func TestWithdrawnStaysSo(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *site) {
		const path = "/zones/jintan-edz/articles/7"
		del := func(token string, header map[string]string) reply {
			return s.do(ask{method: "DELETE", path: path + "?reason=%E6%95%B0%E6%8D%AE%E6%9C%89%E8%AF%AF", token: token, header: header})
		}
		del("", nil).wants(t, http.StatusNotFound)
		first := s.do(ask{method: "PUT", path: path, body: newsBody}).wants(t, http.StatusCreated)
		s.do(ask{method: "PUT", path: path, body: strings.Replace(newsBody, "百亩", "千亩", 1)}).wants(t, http.StatusOK)
		del("", map[string]string{"If-Match": first.header.Get("Etag")}).wants(t, http.StatusPreconditionFailed)
		del("", nil).wants(t, http.StatusNoContent)
		del("", nil).wants(t, http.StatusNoContent)
		del("", map[string]string{"If-Match": first.header.Get("Etag")}).wants(t, http.StatusNoContent) // the answer was lost, say
		if a, err := s.store.ArticleByExternal(t.Context(), 1, "7"); err != nil || a.Reason != "数据有误" || a.Withdrawn.IsZero() {
			t.Errorf("%+v, %v", a, err)
		}
		s.do(ask{method: "PUT", path: path, body: newsBody}).wants(t, http.StatusGone)
		s.do(ask{method: "PUT", path: path, body: newsBody, header: map[string]string{"If-Match": "*"}}).wants(t, http.StatusGone)
		s.do(ask{method: "GET", path: path}).wants(t, http.StatusGone)
		s.do(ask{method: "GET", path: "/articles/1"}).wants(t, http.StatusGone)
		if all := s.do(ask{method: "GET", path: "/articles"}).wants(t, http.StatusOK); all.text != "[]\n" {
			t.Errorf("list %s", all.text)
		}
		s.do(ask{method: "DELETE", path: "/zones/qinghe-hidz/articles/7"}).wants(t, http.StatusForbidden)
	})
}
