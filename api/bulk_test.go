package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"zonewire"
	"zonewire/api"
)

const bulk = "/articles:bulk"

// brief writes each line of an answer to a bulk as "1 201 added 1 jintan-edz", and the summary as it is.
func brief(t testing.TB, r reply) []string {
	t.Helper()
	var out []string
	for _, v := range r.lines(t) {
		if v["line"] == nil {
			out = append(out, fmt.Sprintf("read=%v added=%v updated=%v unchanged=%v rejected=%v errors=%v",
				v["read"], v["added"], v["updated"], v["unchanged"], v["rejected"], v["errors"]))
			continue
		}
		line := fmt.Sprint(v["line"], " ", v["status"], " ", v["result"])
		for _, name := range []string{"id", "zone", "external_id", "waiting", "error"} {
			if v[name] != nil {
				line += fmt.Sprintf(" %s=%v", name, v[name])
			}
		}
		out = append(out, line)
	}
	return out
}

func TestEachLineOfABulkIsAnswered(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *site) {
		s.do(ask{method: "PUT", path: "/zones/jintan-edz/articles/gone", body: newsBodyOf("gone")}).wants(t, http.StatusCreated)
		s.do(ask{method: "DELETE", path: "/zones/jintan-edz/articles/gone"}).wants(t, http.StatusNoContent)
		body := strings.Join([]string{
			`{"id":"1","title":"一"}`,
			``,
			`{"id":"1","title":"一"}`,
			`{"id":"1","title":"一改"}`,
			`{"id":"2"}`,
			`not JSON`,
			`{"id":"3","title":"三","zone":"qinghe-hidz"}`,
			`{"id":"gone","title":"去"}`,
			gbk(t, `{"id":"4","title":"青禾湖开工"}`),
			`{"id":"5","title":"五","zone":"云栖港开发区"}`,
		}, "\n")
		got := s.do(ask{method: "POST", path: bulk, kind: "application/x-ndjson", body: body}).wants(t, http.StatusOK)
		want := []string{
			"1 201 added id=2 zone=jintan-edz external_id=1",
			"3 200 unchanged id=2 zone=jintan-edz external_id=1",
			"4 200 updated id=2 zone=jintan-edz external_id=1",
			"5 422 rejected external_id=2 error=title is missing",
			"6 422 rejected error=not JSON: invalid character 'o' in literal null (expecting 'u')",
			"7 403 refused zone=qinghe-hidz external_id=3 error=the article is of zone qinghe-hidz, and this key may push to jintan-edz only",
			"8 410 withdrawn id=1 zone=jintan-edz external_id=gone error=the article was withdrawn, and stays so",
			"9 201 added id=3 zone=jintan-edz external_id=4",
			`10 403 refused external_id=5 error=no zone is known as "云栖港开发区", and this key may push to jintan-edz only`,
			"read=9 added=2 updated=1 unchanged=1 rejected=5 errors=true",
		}
		if got := strings.Join(brief(t, got), "\n"); got != strings.Join(want, "\n") {
			t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
		}
		waits := s.do(ask{method: "POST", path: bulk, token: tokenAll, body: `[{"id":"5","title":"五","zone":"云栖港开发区"}]`}).wants(t, http.StatusOK)
		if got, want := strings.Join(brief(t, waits), "\n"), "1 201 added id=4 external_id=5 waiting=true\nread=1 added=1 updated=0 unchanged=0 rejected=0 errors=false"; got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

func newsBodyOf(id string) string { return strings.Replace(newsBody, `"7"`, `"`+id+`"`, 1) }

// many are n lines of articles.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"id":"%d","title":"第%d篇"}`+"\n", i, i)
	}
	return b.String()
}

func TestABulkIsStoredWholeOrNotBegun(t *testing.T) {
	for _, tc := range []struct {
		name, kind, body string
		status           int
		stored           int
	}{
		{"a thousand", "application/x-ndjson", many(1000), 200, 1000},
		{"without a type", "-", many(2), 200, 2},
		{"one more than a thousand", "application/x-ndjson", many(1001), 413, 0},
		{"a thousand and an empty line", "application/x-ndjson", many(1000) + "\n\n", 200, 1000},
		{"more than 10 MB", "application/x-ndjson", many(1) + strings.Repeat(" ", 10<<20), 413, 0},
		{"nothing", "application/x-ndjson", "\n\n", 400, 0},
		{"a form", "application/x-www-form-urlencoded", many(1), 415, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake()
			s := opens(t, f, f.withdraw, nil)
			s.do(ask{method: "POST", path: bulk, kind: tc.kind, body: tc.body}).wants(t, tc.status)
			if len(f.articles) != tc.stored {
				t.Errorf("%d stored, want %d", len(f.articles), tc.stored)
			}
		})
	}
}

// breaking fails pushes after some.
type breaking struct {
	*fake
	after int
	err   error
}

func (b *breaking) PushArticles(ctx context.Context, act zonewire.Act, push zonewire.Push, as []zonewire.Article) ([]zonewire.Stored, error) {
	if b.after--; b.after < 0 {
		return nil, b.err
	}
	return b.fake.PushArticles(ctx, act, push, as)
}

func TestABulkThatBreaksMidwaySaysHowFarItCame(t *testing.T) {
	f := newFake()
	s := opens(t, &breaking{f, 1, zonewire.ErrFull}, f.withdraw, nil)
	header := map[string]string{"Idempotency-Key": "k"}
	got := brief(t, s.do(ask{method: "POST", path: bulk, body: many(600), kind: "application/x-ndjson", header: header}).wants(t, http.StatusOK))
	for i, want := range map[int]string{
		499: "500 201 added id=500 zone=jintan-edz external_id=499",
		500: "501 503 failed external_id=500 error=the database is not available now; try again",
		600: "read=600 added=500 updated=0 unchanged=0 rejected=100 errors=true",
	} {
		if got[i] != want {
			t.Errorf("line %d: %s, want %s", i+1, got[i], want)
		}
	}
	if len(f.answers) != 0 {
		t.Error("the answer is kept, so that a repeat would not store the rest")
	}
	if !strings.Contains(s.log.String(), "disk full") {
		t.Errorf("log %s", s.log.String())
	}
}

func TestOurOwnFaultIsToldApart(t *testing.T) {
	for _, tc := range []struct {
		name   string
		err    error
		status int
		retry  string
		logged bool
	}{
		{"a busy database", fmt.Errorf("push: %w", zonewire.ErrBusy), 503, "5", true},
		{"a full disk", zonewire.ErrFull, 503, "5", true},
		{"a database that cannot be written", zonewire.ErrReadOnly, 503, "5", true},
		{"a database that is away", fmt.Errorf("push: %w", zonewire.ErrUnavailable), 503, "5", true},
		{"a database that hangs", fmt.Errorf("push: %w", context.DeadlineExceeded), 503, "5", true},
		{"a client that hung up", fmt.Errorf("push: %w", context.Canceled), 503, "5", false},
		{"anything else", errors.New("disk I/O error of /var/lib/secret"), 500, "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFake()
			s := opens(t, &breaking{f, 0, tc.err}, f.withdraw, func(*api.Config) {})
			for _, a := range []ask{
				{method: "POST", path: "/articles", body: newsBody},
				{method: "PUT", path: "/zones/jintan-edz/articles/7", body: newsBody},
				{method: "POST", path: bulk, kind: "application/x-ndjson", body: many(1)},
			} {
				got := s.do(a).wants(t, tc.status)
				if got.header.Get("Retry-After") != tc.retry || strings.Contains(got.text, "secret") {
					t.Errorf("%v %s", got.header, got.text)
				}
			}
			if logged := strings.Contains(s.log.String(), tc.err.Error()); logged != tc.logged {
				t.Errorf("logged %v: %s", logged, s.log.String())
			}
		})
	}
}
