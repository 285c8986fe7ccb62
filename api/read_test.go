package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"zonewire"
	"zonewire/api"
)

func TestATokenIsTakenWhereToolsCanPutIt(t *testing.T) {
	for _, tc := range []struct {
		name, path, authorization string
		query                     bool // api.query_token
		status                    int
		detail                    string
	}{
		{"bearer", "/zones", "Bearer " + tokenJintan, false, 200, ""},
		{"bearer in small letters", "/zones", "bearer  " + tokenJintan, false, 200, ""},
		{"the password of basic", "/zones", basic("editor", tokenJintan), false, 200, ""},
		{"none", "/zones", "", false, 401, "send the token as Authorization: Bearer"},
		{"a scheme of others", "/zones", "Digest x", false, 401, "send the token as Authorization: Bearer"},
		{"an empty one", "/zones", "Bearer ", false, 401, "the Authorization header holds no token"},
		{"an empty password", "/zones", basic(tokenJintan, ""), false, 401, "the password must be the token"},
		{"one that nobody knows", "/zones", "Bearer zw_x", false, 401, "the token is not known, or its key was revoked"},
		{"the address", "/zones?token=" + tokenJintan, "", true, 200, ""},
		{"the address, switched off", "/zones?token=" + tokenJintan, "", false, 401, "a token in the address is not taken here"},
		{"none of three", "/zones", "", true, 401, "send the token as Authorization: Bearer, or as token in the address"},
		{"the description needs none", "/openapi.json", "", false, 200, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake()
			s := opens(t, f, f.withdraw, func(c *api.Config) { c.QueryToken = tc.query })
			got := s.do(ask{method: "GET", path: tc.path, token: "-", header: map[string]string{"Authorization": tc.authorization}})
			if got.status != tc.status || !strings.HasPrefix(fmt.Sprint(got.json["detail"]), tc.detail) && tc.detail != "" {
				t.Errorf("%d %s, want %d %s", got.status, got.text, tc.status, tc.detail)
			}
			if asked := got.header.Get("Www-Authenticate"); (got.status == 401) != strings.HasPrefix(asked, "Bearer ") {
				t.Errorf("WWW-Authenticate %q", asked)
			}
		})
	}
}

func TestALogLineNamesTheKeyAndNothingPushed(t *testing.T) {
	s := memorySite(t)
	s.do(ask{method: "PUT", path: "/zones/jintan-edz/articles/secret-id?token=" + tokenTwo, body: newsBody})
	s.do(ask{method: "POST", path: "/articles", body: newsBody})
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(s.log.String()), "\n") {
		_, line, _ = strings.Cut(line, " ") // the time
		lines = append(lines, line)
	}
	want := []string{
		`level=INFO msg="api request" method=PUT route=/zones/{zone}/articles/{id} status=422 key=jintan`,
		`level=INFO msg="api request" method=POST route=/articles status=201 key=jintan`,
	}
	if !slices.Equal(lines, want) {
		t.Errorf("log:\n%s\nwant:\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

// titles are the titles of a list of articles.
func titles(t testing.TB, r reply) string {
	t.Helper()
	var all []api.Article
	fatal(t, json.Unmarshal([]byte(r.text), &all))
	var out []string
	for _, a := range all {
		out = append(out, a.Title)
	}
	return strings.Join(out, " ")
}

func TestArticlesAreListedByLatestChange(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *site) {
		for i, body := range []string{
			`{"zone":"jintan-edz","id":"1","title":"甲签约"}`, `{"zone":"qinghe-hidz","id":"2","title":"乙开工"}`,
			`{"zone":"云栖港开发区","id":"3","title":"丙签约"}`, `{"zone":"jintan-edz","id":"4","title":"丁投产","content_text":"此后签约。"}`,
		} {
			s.now = start.Add(time.Duration(i) * 24 * time.Hour)
			s.do(ask{method: "POST", path: "/articles", token: tokenAll, body: body}).wants(t, http.StatusCreated)
		}
		s.do(ask{method: "POST", path: "/articles", token: tokenAll, body: `{"zone":"jintan-edz","id":"1","title":"甲签约了"}`}).wants(t, http.StatusOK)
		for _, tc := range []struct{ name, token, query, want string }{
			{"all, for a key of every zone", tokenAll, "", "甲签约了 丁投产 丙签约 乙开工"},
			{"all but those that wait, for a key of one zone", tokenJintan, "", "甲签约了 丁投产 乙开工"},
			{"of a zone", tokenAll, "?zone=qinghe-hidz", "乙开工"},
			{"of a zone without news", tokenAll, "?zone=old-park", ""},
			{"that hold words", tokenAll, "?query=%E7%AD%BE%E7%BA%A6", "甲签约了 丁投产 丙签约"},
			{"since a time", tokenAll, "?since=2026-11-26T09:00:00%2B08:00", "丁投产 丙签约"},
			{"since a day", tokenAll, "?since=2026-11-27", "丁投产"},
			{"a few", tokenAll, "?limit=2", "甲签约了 丁投产"},
		} {
			if got := titles(t, s.do(ask{method: "GET", path: "/articles" + tc.query, token: tc.token}).wants(t, http.StatusOK)); got != tc.want {
				t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
			}
		}
		for _, bad := range []string{"zone=nowhere", "since=yesterday", "limit=0", "limit=501", "limit=x", "before=-1", "before="} {
			got := s.do(ask{method: "GET", path: "/articles?" + bad}).wants(t, http.StatusBadRequest)
			if field, _, _ := strings.Cut(bad, "="); !strings.Contains(got.text, `"field":"`+field+`"`) {
				t.Errorf("%s: %s", bad, got.text)
			}
		}
		// The pages together are the whole list, each article once.
		var all []string
		next := "/articles?limit=1&query=%E7%AD%BE"
		for pages := 0; next != "" && pages < 9; pages++ {
			got := s.do(ask{method: "GET", path: next, token: tokenAll}).wants(t, http.StatusOK)
			all = append(all, titles(t, got))
			next, _, _ = strings.Cut(strings.TrimPrefix(got.header.Get("Link"), "<"+base+"/api/v1"), ">; rel=\"next\"")
		}
		if got := strings.Join(all, " "); got != "甲签约了 丁投产 丙签约" {
			t.Errorf("pages: %s", got)
		}
		s.do(ask{method: "GET", path: "/articles/3", token: tokenAll}).wants(t, http.StatusOK)
		s.do(ask{method: "GET", path: "/articles/3"}).wants(t, http.StatusNotFound) // it waits
		s.do(ask{method: "GET", path: "/articles/2"}).wants(t, http.StatusOK)       // another's zone, but public
		s.do(ask{method: "GET", path: "/articles/99"}).wants(t, http.StatusNotFound)
		s.do(ask{method: "GET", path: "/articles/x"}).wants(t, http.StatusNotFound)
		if head := s.do(ask{method: "HEAD", path: "/articles/2"}).wants(t, http.StatusOK); head.header.Get("Etag") == "" {
			t.Error("HEAD has no ETag")
		}
	})
}

func TestALinkHoldsNoToken(t *testing.T) {
	f := newFake()
	s := opens(t, f, f.withdraw, func(c *api.Config) { c.QueryToken = true })
	s.do(ask{method: "POST", path: bulk, kind: "application/x-ndjson", body: many(3)}).wants(t, http.StatusOK)
	got := s.do(ask{method: "GET", path: "/articles?limit=2&zone=jintan-edz&token=" + tokenJintan, token: "-"}).wants(t, http.StatusOK)
	if got, want := got.header.Get("Link"), "<"+base+`/api/v1/articles?before=2&limit=2&zone=jintan-edz>; rel="next"`; got != want {
		t.Errorf("Link %s, want %s", got, want)
	}
}

func TestZonesListsAndDigestsAreAsTheCommandsPrintThem(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *site) {
		var zones []api.Zone
		fatal(t, json.Unmarshal([]byte(s.do(ask{method: "GET", path: "/zones"}).wants(t, http.StatusOK).text), &zones))
		if len(zones) != 4 || zones[0].Name != "江苏金坛经济开发区" || zones[2].Closed == nil || zones[3].MergedInto != "jintan-edz" {
			t.Errorf("zones %+v", zones)
		}
		lists := s.do(ask{method: "GET", path: "/lists", token: tokenAll}).wants(t, http.StatusOK).text
		want := `[{"slug":"morning","title":"晨报","schedule":"0 8 * * *","timezone":"Asia/Shanghai","workdays":"","all":true,"province":"","city":"","zones":[],"category":"","keyword":"","max_items":60,"max_age":"30d","locale":"zh-CN","catch_up":"24h","from":"","reply_to":"","private":false,"hold":"0","paused":false,"next_slot":"2026-11-25T00:00:00Z","subscribers":{}}]` + "\n"
		if lists != want {
			t.Errorf("lists\n%s\nwant\n%s", lists, want)
		}
		digest := s.do(ask{method: "GET", path: "/digests/1", token: tokenAll}).wants(t, http.StatusOK)
		if got, want := digest.fields("id", "list", "slot", "state", "items", "recipients"), "id=1 list=morning slot=2026-11-24T01:00:00Z state=skipped items=0 recipients=0"; got != want {
			t.Errorf("digest %s, want %s", got, want)
		}
		if counts := digest.json["counts"].(map[string]any); len(counts) != len(zonewire.DeliveryStates()) {
			t.Errorf("counts %v", counts)
		}
		s.do(ask{method: "GET", path: "/digests/2", token: tokenAll}).wants(t, http.StatusNotFound)
		s.do(ask{method: "GET", path: "/digests/x", token: tokenAll}).wants(t, http.StatusNotFound)
		s.do(ask{method: "GET", path: "/lists"}).wants(t, http.StatusForbidden)
		s.do(ask{method: "GET", path: "/digests/1"}).wants(t, http.StatusForbidden)
	})
}
