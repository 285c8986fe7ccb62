package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"zonewire"
	"zonewire/internal/trouble"
)

// answer is a whole answer.
type answer struct {
	status  int
	kind    string // Content-Type
	body    []byte
	header  http.Header
	meant   int  // the status that the dialect of collector tools hides; 0 = status
	partial bool // something of it failed by our fault and may be asked again
}

const (
	jsonType    = "application/json"
	problemType = "application/problem+json"
	linesType   = "application/x-ndjson"
)

// outcome is the status that tells what became of the request.
func (a answer) outcome() int { return cmp.Or(a.meant, a.status) }

func (a answer) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.header)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if w.Header().Get("Cache-Control") == "" {
		w.Header().Set("Cache-Control", "no-store")
	}
	if a.kind != "" {
		w.Header().Set("Content-Type", a.kind)
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the client went away: nothing to do
}

// say makes an answer of a value. Addresses and HTML stay readable: '<' and '&' are not escaped.
func say(status int, kind string, v any) (answer, error) {
	b, err := text(v)
	return answer{status: status, kind: kind, body: b}, err
}

// text is a value as one line of JSON.
func text(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return b.Bytes(), nil
}

// problem is a failure as RFC 9457 writes it. Its type is about:blank, the default, so its title is that of the status.
type problem struct {
	Type   string       `json:"type"`
	Title  string       `json:"title"`
	Status int          `json:"status"`
	Detail string       `json:"detail,omitempty"`
	Errors []fieldError `json:"errors,omitempty"`

	header http.Header
}

// fieldError says what is wrong with one field of an article, or one parameter.
type fieldError struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

func (p *problem) Error() string { return p.Detail }

func problemf(status int, format string, args ...any) *problem {
	return &problem{Status: status, Detail: fmt.Sprintf(format, args...)}
}

// on names the field that a problem is with.
func (p *problem) on(field string) *problem {
	p.Errors = append(p.Errors, fieldError{field, p.Detail})
	return p
}

// retryAfter is when to try again what failed for a moment, in seconds.
const retryAfter = "5"

// problemOf tells a client what went wrong, as far as it is the client's business.
func problemOf(err error) *problem {
	var p *problem
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &large):
		return problemf(http.StatusRequestEntityTooLarge, "the body is longer than %d MB", large.Limit>>20)
	case errors.Is(err, zonewire.ErrInvalid):
		p := problemf(http.StatusUnprocessableEntity, "%v", err)
		if field := fieldOf(p.Detail); field != "" {
			p.on(field)
		}
		return p
	case errors.Is(err, zonewire.ErrNotFound):
		return problemf(http.StatusNotFound, "%v", err)
	case errors.Is(err, zonewire.ErrGone):
		return problemf(http.StatusGone, "%v", err)
	case errors.Is(err, zonewire.ErrBusy), errors.Is(err, zonewire.ErrFull), errors.Is(err, zonewire.ErrReadOnly), trouble.Away(err), errors.Is(err, context.Canceled):
		p := problemf(http.StatusServiceUnavailable, "the database is not available now; try again")
		p.header = http.Header{"Retry-After": {retryAfter}}
		return p
	}
	return problemf(http.StatusInternalServerError, "this is our fault and is in the log")
}

// fieldOf finds the field of an article that a message of package ingest speaks of: it begins with its name.
func fieldOf(message string) string {
	word, _, _ := strings.Cut(strings.TrimPrefix(message, "field "), " ")
	switch word {
	case "zone", "id", "url", "title", "content_html", "content_text", "summary", "source", "author", "category", "city",
		"province", "language", "published", "deadline", "image", "attachments":
		return word
	}
	return ""
}

// failure is the answer that a failure becomes. What is our own fault is logged; what a client gave up is not.
func (h *handler) failure(c *call, err error) answer {
	p := problemOf(err)
	if p.Status >= http.StatusInternalServerError && !errors.Is(err, context.Canceled) && (!trouble.Away(err) || h.seldom.Fails("api", err, c.now)) {
		h.Log.Error("api request failed", "method", c.Method, "route", c.route.path, "key", c.key.Name, "err", err)
	}
	if c.collector() {
		return dialectFailure(p)
	}
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	a, err := say(p.Status, problemType, p)
	if err != nil { // strings and numbers can always be written
		a.status = http.StatusInternalServerError
	}
	a.header = p.header
	return a
}
