package web_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"zonewire"
)

// album serves answers by name, those to a POST too, so that a browser can look at each with a GET.
func album(t *testing.T) (names []string, srv *httptest.Server) {
	t.Helper()
	pages := map[string]*httptest.ResponseRecorder{}
	for i, v := range visits() {
		if v.want == 303 || v.want == 404 || v.want == 400 {
			continue
		}
		for _, locale := range zonewire.Locales() {
			h, _ := serve(t, readers())
			name := fmt.Sprintf("people-%02d-%s", i, strings.ReplaceAll(v.name, " ", "-"))
			if locale != zonewire.LocaleZH {
				name += "?lang=" + locale
			}
			pages[name] = do(h, v.request(), "Accept-Language", locale)
		}
	}
	h, _ := serve(t, with(readers(), 200))
	pages["people-zones"] = do(h, visit{path: "/lists/morning/subscribe", form: fields("email", "", "zone", "zone-1")}.request())
	h, _ = serve(t, with(readers(), 2500))
	pages["people-provinces"] = do(h, visit{path: "/lists/morning/subscribe", form: fields("zone", "zone-1", "province", "江苏省")}.request())

	style, _ := serve(t, readers())
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := pages[strings.TrimPrefix(r.URL.RequestURI(), "/")]
		if !ok {
			style.ServeHTTP(w, r)
			return
		}
		for _, name := range []string{"Content-Type", "Content-Security-Policy"} {
			w.Header().Set(name, page.Header().Get(name))
		}
		if _, err := w.Write(page.Body.Bytes()); err != nil {
			t.Errorf("serve %s: %v", r.URL, err)
		}
	}))
	t.Cleanup(srv.Close)
	return slices.Sorted(maps.Keys(pages)), srv
}

// People's pages fit a phone too, whatever they answer. ZONEWIRE_SHOTS=DIR leaves pictures, of a desk as well.
func TestPeoplesPagesFitTheScreen(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a browser is not short")
	}
	ctx := browser(t)
	names, srv := album(t)
	schemes, widths := []string{"light"}, []int64{360}
	if os.Getenv("ZONEWIRE_SHOTS") != "" {
		schemes, widths = append(schemes, "dark"), append(widths, 1280)
	}
	for _, name := range names {
		for _, scheme := range schemes {
			for _, width := range widths {
				t.Run(fmt.Sprintf("%s in %s at %d", name, scheme, width), func(t *testing.T) {
					look(ctx, t, srv.URL+"/"+name, scheme, width, strings.Replace(name, "?lang=", "-", 1))
				})
			}
		}
	}
}

func TestPeoplesPagesAreForEveryone(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a browser is not short")
	}
	script := axe(t)
	ctx := browser(t)
	names, srv := album(t)
	for i, name := range names {
		for _, scheme := range []string{"light", "dark"}[i%2:] { // colours are the same on all: half of them are enough by day
			t.Run(name+" in "+scheme, func(t *testing.T) {
				for _, v := range examine(ctx, t, script, srv.URL+"/"+name, scheme) {
					t.Errorf("%s (%s): %s\n\t%s", v.ID, v.Impact, v.Help, strings.Join(v.Nodes, "\n\t"))
				}
			})
		}
	}
}
