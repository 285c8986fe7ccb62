package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"zonewire"
	"zonewire/api"
)

// interrupted does something else before the first push.
type interrupted struct {
	api.Store
	first func()
}

func (i *interrupted) PushArticles(ctx context.Context, act zonewire.Act, push zonewire.Push, as []zonewire.Article) ([]zonewire.Stored, error) {
	i.first()
	return i.Store.PushArticles(ctx, act, push, as)
}

func TestARepeatWithTheSameKeyGetsTheSameAnswer(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *site) {
		push := func(path, key, body string) reply {
			t.Helper()
			return s.do(ask{method: "POST", path: path, body: body, kind: "application/json", header: map[string]string{"Idempotency-Key": key}})
		}
		first := push("/articles", "k-1", newsBody).wants(t, http.StatusCreated)
		s.now = s.now.Add(time.Hour)
		again := push("/articles", "k-1", newsBody).wants(t, http.StatusCreated)
		if again.text != first.text || again.header.Get("Idempotency-Replayed") != "true" || first.header.Get("Idempotency-Replayed") != "" {
			t.Errorf("again: %v %s", again.header, again.text)
		}
		push("/articles", "k-1", strings.Replace(newsBody, "百亩", "千亩", 1)).wants(t, http.StatusUnprocessableEntity)
		push("/articles?compat=cms", "k-1", newsBody).wants(t, http.StatusOK) // code 422
		s.do(ask{method: "POST", path: "/articles", body: newsBody, kind: "application/x-www-form-urlencoded", header: map[string]string{"Idempotency-Key": "k-1"}}).wants(t, http.StatusUnprocessableEntity)
		push(bulk, "k-1", newsBody).wants(t, http.StatusUnprocessableEntity)
		push("/articles", "k-2", newsBody).wants(t, http.StatusOK) // unchanged
		push("/articles", "k-3", `{"id":"9"}`).wants(t, http.StatusUnprocessableEntity)
		if refused := push("/articles", "k-3", `{"id":"9"}`); refused.header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("a refusal again: %v", refused.header)
		}
		lines := push(bulk, "k-4", many(3)).wants(t, http.StatusOK)
		if again := push(bulk, "k-4", many(3)).wants(t, http.StatusOK); again.text != lines.text {
			t.Errorf("bulk again: %s", again.text)
		}
		s.now = s.now.Add(25 * time.Hour)
		push("/articles", "k-1", newsBody).wants(t, http.StatusOK) // forgotten
		for _, bad := range []string{"", strings.Repeat("k", 256), "键"} {
			push("/articles", bad, newsBody).wants(t, http.StatusBadRequest)
		}
	})
}

func TestTwoAtOnceAreOneAtWork(t *testing.T) {
	onEachStore(t, func(t *testing.T, s *site) {
		header := map[string]string{"Idempotency-Key": "k"}
		var during reply
		inner := opens(t, s.store, nil, nil)
		outer := opens(t, &interrupted{s.store, func() {
			during = inner.do(ask{method: "POST", path: "/articles", body: newsBody, header: header})
		}}, nil, nil)
		outer.do(ask{method: "POST", path: "/articles", body: newsBody, header: header}).wants(t, http.StatusCreated)
		during.wants(t, http.StatusConflict)
		if during.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		inner.do(ask{method: "POST", path: "/articles", body: newsBody, header: header}).wants(t, http.StatusCreated)
	})
}

func TestWhatFailedByOurFaultMayBeTriedAgain(t *testing.T) {
	f := newFake()
	s := opens(t, &breaking{f, 0, zonewire.ErrBusy}, f.withdraw, nil)
	again := ask{method: "POST", path: "/articles", body: newsBody, header: map[string]string{"Idempotency-Key": "k"}}
	s.do(again).wants(t, http.StatusServiceUnavailable)
	opens(t, f, f.withdraw, nil).do(again).wants(t, http.StatusCreated)

	// A handler that panics leaves nothing taken.
	s = opens(t, &interrupted{f, func() { panic("a bug") }}, f.withdraw, nil)
	again.header = map[string]string{"Idempotency-Key": "other"}
	func() {
		defer func() { _ = recover() }()
		s.do(again)
	}()
	opens(t, f, f.withdraw, nil).do(again).wants(t, http.StatusOK)
}
