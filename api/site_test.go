package api_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zonewire"
	"zonewire/api"
	"zonewire/ingest"
	"zonewire/store"
)

const base = "https://news.example.com"

var start = time.Date(2026, 11, 24, 9, 0, 0, 0, zonewire.Shanghai)

// The tokens of the keys that every site has: of all zones, of one, and of two.
var (
	tokenAll    = zonewire.NewKeyToken([]byte("a key of every zone."))
	tokenJintan = zonewire.NewKeyToken([]byte("a key of one zone..."))
	tokenTwo    = zonewire.NewKeyToken([]byte("a key of two zones.."))
)

// site is an API over a store, with two open zones, one closed and one merged, a list and a digest.
type site struct {
	t       testing.TB
	store   api.Store
	handler http.Handler
	now     time.Time
	log     bytes.Buffer
}

// onEachStore runs a test over the store in memory and over a real one, which must not differ.
func onEachStore(t *testing.T, test func(t *testing.T, s *site)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) { test(t, memorySite(t)) })
	t.Run("sqlite", func(t *testing.T) { test(t, realSite(t)) })
}

func sampleZones() []zonewire.Zone {
	return []zonewire.Zone{
		{ID: 1, Slug: "jintan-edz", Name: "江苏金坛经济开发区", Level: "provincial", Type: "etdz", Province: "江苏", City: "常州", Aliases: []string{"金坛经开区"}},
		{ID: 2, Slug: "qinghe-hidz", Name: "青禾高新技术产业开发区", Level: "national", Type: "hidz"},
		{ID: 3, Slug: "old-park", Name: "旧桥工业园"},
		{ID: 4, Slug: "merged-park", Name: "柳河工业园"},
	}
}

// opens builds the API over a store.
func opens(t testing.TB, st api.Store, withdraw func(context.Context, zonewire.Act, int64, string) error, change func(*api.Config)) *site {
	s := &site{t: t, store: st, now: start}
	cfg := api.Config{
		BaseURL: base, Version: "1.2.3", Withdraw: withdraw,
		Now: func() time.Time { return s.now },
		Log: slog.New(slog.NewTextHandler(&s.log, nil)),
	}
	if change != nil {
		change(&cfg)
	}
	s.handler = api.New(st, cfg)
	t.Cleanup(func() {
		for _, token := range []string{tokenAll, tokenJintan, tokenTwo} {
			if strings.Contains(s.log.String(), token) {
				t.Error("a token is in the log")
			}
		}
	})
	return s
}

func newFake() *fake {
	zones := sampleZones()
	zones[2].Closed = start.Add(-time.Hour)
	zones[3].Closed, zones[3].MergedInto = start.Add(-time.Hour), "jintan-edz"
	return &fake{
		zones: zones,
		keys: map[string]zonewire.APIKey{
			tokenAll:    {ID: 1, Name: "all"},
			tokenJintan: {ID: 2, Name: "jintan", Zones: []int64{1}, Slugs: []string{"jintan-edz"}},
			tokenTwo:    {ID: 3, Name: "two", Zones: []int64{1, 2}, Slugs: []string{"jintan-edz", "qinghe-hidz"}},
		},
		lists:   []zonewire.List{sampleList()},
		digests: []zonewire.Digest{{ID: 1, List: "morning", Slot: start, State: zonewire.DigestSkipped, Reason: "nothing new"}},
		answers: map[string]*fakeAnswer{},
	}
}

func sampleList() zonewire.List {
	return zonewire.List{Slug: "morning", Title: "晨报", Schedule: "0 8 * * *", Timezone: "Asia/Shanghai", All: true, MaxItems: 60,
		MaxAge: zonewire.DefaultMaxAge, CatchUp: zonewire.DefaultCatchUp, Locale: zonewire.LocaleZH, NextSlot: start.Add(23 * time.Hour)}
}

func memorySite(t testing.TB) *site {
	f := newFake()
	return opens(t, f, f.withdraw, nil)
}

// nothing plans digests without articles.
type nothing struct{ zonewire.Planning }

func (nothing) Plan(zonewire.PlanRequest) (zonewire.Plan, error) { return zonewire.Plan{}, nil }

func realSite(t testing.TB) *site {
	t.Helper()
	ctx := t.Context()
	act := zonewire.Act{At: start.Add(-time.Hour), By: "cli"}
	db, err := store.Open(ctx, filepath.Join(t.TempDir(), "zonewire.db"), store.Options{Create: true, Matcher: ingest.NewMatcher})
	fatal(t, err)
	t.Cleanup(func() { fatal(t, db.Close()) })
	for _, z := range sampleZones() {
		_, _, err := db.AddZone(ctx, act, z)
		fatal(t, err)
	}
	for _, k := range []struct {
		name, token string
		zones       []int64
	}{{"all", tokenAll, nil}, {"jintan", tokenJintan, []int64{1}}, {"two", tokenTwo, []int64{1, 2}}} {
		_, err := db.AddKey(ctx, act, k.name, zonewire.HashKeyToken(k.token), k.zones)
		fatal(t, err)
	}
	_, err = db.CloseZone(ctx, act, "old-park", "")
	fatal(t, err)
	_, err = db.CloseZone(ctx, act, "merged-park", "jintan-edz")
	fatal(t, err)
	_, err = db.AddList(ctx, act, sampleList(), time.Time{})
	fatal(t, err)
	_, err = db.CutDigest(ctx, act, "morning", start, nothing{})
	fatal(t, err)
	return opens(t, db, func(ctx context.Context, act zonewire.Act, id int64, reason string) error {
		_, err := db.WithdrawArticle(ctx, act, id, reason, false, nothing{})
		return err
	}, nil)
}

func fatal(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ask is a request. Its zero value asks with the key of one zone, for JSON.
type ask struct {
	method, path string
	token        string // "-" sends none
	kind         string // Content-Type, "-" sends none
	header       map[string]string
	body         string
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	text   string
	json   map[string]any
}

// do asks, and holds the answer against the OpenAPI document.
func (s *site) do(a ask) reply {
	s.t.Helper()
	r := httptest.NewRequest(a.method, "/api/v1"+a.path, strings.NewReader(a.body))
	switch a.token {
	case "":
		r.Header.Set("Authorization", "Bearer "+tokenJintan)
	case "-":
	default:
		r.Header.Set("Authorization", "Bearer "+a.token)
	}
	switch {
	case a.kind == "" && a.body != "":
		r.Header.Set("Content-Type", "application/json")
	case a.kind != "-":
		r.Header.Set("Content-Type", a.kind)
	}
	for name, value := range a.header {
		r.Header.Set(name, value)
	}
	return s.send(r)
}

func (s *site) send(r *http.Request) reply {
	s.t.Helper()
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	got := reply{status: w.Code, header: w.Result().Header, text: w.Body.String()}
	if strings.Contains(got.text, "<html") || strings.Contains(got.header.Get("Content-Type"), "html") {
		s.t.Fatalf("%s %s: HTML: %s", r.Method, r.URL, got.text)
	}
	conforms(s.t, r, got)
	if strings.HasPrefix(got.text, "{") && !strings.Contains(got.header.Get("Content-Type"), "ndjson") {
		fatal(s.t, json.Unmarshal(w.Body.Bytes(), &got.json))
	}
	return got
}

// wants stops unless the answer has this status.
func (r reply) wants(t testing.TB, status int) reply {
	t.Helper()
	if r.status != status {
		t.Fatalf("status %d, want %d: %s", r.status, status, r.text)
	}
	return r
}

// lines are the objects of an NDJSON answer.
func (r reply) lines(t testing.TB) []map[string]any {
	t.Helper()
	var all []map[string]any
	d := json.NewDecoder(strings.NewReader(r.text))
	for {
		var v map[string]any
		err := d.Decode(&v)
		if err == io.EOF {
			return all
		}
		fatal(t, err)
		all = append(all, v)
	}
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}
