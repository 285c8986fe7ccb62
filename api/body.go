package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"

	"zonewire"
	"zonewire/ingest"
)

// readBody reads what was sent, whole. Longer than maxBody is 413.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if coding := r.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		p := problemf(http.StatusUnsupportedMediaType, "Content-Encoding %s is not taken: send the body as it is", zonewire.Shorten(coding, 40))
		p.header = http.Header{"Accept-Encoding": {"identity"}} // RFC 9110, section 12.5.3
		return nil, p
	}
	body := http.MaxBytesReader(w, r.Body, maxBody)
	if r.ContentLength > maxBody {
		return nil, &http.MaxBytesError{Limit: maxBody}
	}
	b, err := io.ReadAll(body)
	var large *http.MaxBytesError
	if err != nil && !errors.As(err, &large) {
		err = problemf(http.StatusBadRequest, "the body could not be read to its end")
	}
	return b, err
}

// sent is the article of a request.
type sent struct {
	article  zonewire.Article
	warnings []string
	form     url.Values // what else a form says
}

const (
	formType      = "application/x-www-form-urlencoded"
	multipartType = "multipart/form-data"
)

// read gives the article of a request; zone is that of one that names none. Whatever tool sent it, text that begins with
// a brace is JSON: curl -d calls everything a form.
func (c *call) read(zone string) (sent, error) {
	kind, params := c.mediaType()
	opts := ingest.Options{Now: c.now, Zone: zone, HTTPCharset: params["charset"]}
	brace := bytes.HasPrefix(bytes.TrimSpace(c.body), []byte("{"))
	switch {
	case kind == multipartType:
		form, files, err := multipartForm(c.body, params["boundary"])
		if err != nil {
			return sent{}, problemf(http.StatusBadRequest, "not a form: %v", err)
		}
		in, err := readForm(form, opts)
		for _, name := range files {
			in.warnings = append(in.warnings, fmt.Sprintf("the file %s is not taken: give its address in attachments", zonewire.Shorten(name, 80)))
		}
		return in, err
	case isJSON(kind), brace && (kind == "" || kind == "text/plain" || kind == formType):
		return readJSON(c.body, opts)
	case kind == formType:
		form, err := url.ParseQuery(string(c.body))
		if err != nil {
			return sent{}, problemf(http.StatusBadRequest, "not a form: %v", err)
		}
		return readForm(form, opts)
	}
	return sent{}, problemf(http.StatusUnsupportedMediaType, "send Content-Type: %s, %s or %s, not %q", jsonType, formType, multipartType, zonewire.Shorten(kind, 80))
}

func (c *call) mediaType() (kind string, params map[string]string) {
	said := c.Header.Get("Content-Type")
	kind, params, err := mime.ParseMediaType(said)
	if err != nil { // a parameter that cannot be read hides no type
		kind, _, _ = strings.Cut(said, ";")
		kind = strings.ToLower(strings.TrimSpace(kind))
	}
	return kind, params
}

func isJSON(kind string) bool {
	return kind == jsonType || kind == "text/json" || strings.HasSuffix(kind, "+json")
}

func readJSON(body []byte, opts ingest.Options) (sent, error) {
	rec := ingest.Posted(body, opts)
	if rec.Err != nil {
		if d, err := ingest.Decode(body, opts.HTTPCharset); err != nil || !json.Valid([]byte(d.Text)) {
			return sent{}, problemf(http.StatusBadRequest, "%v", rec.Err)
		}
		return sent{}, rec.Err
	}
	return sent{article: rec.Article, warnings: rec.Warnings}, nil
}

func readForm(form url.Values, opts ingest.Options) (sent, error) {
	rec := ingest.Form(form, opts)
	if rec.Err != nil {
		return sent{}, rec.Err
	}
	return sent{rec.Article, rec.Warnings, form}, nil
}

// multipartForm reads the fields of a form (RFC 7578), and the names of files, which are not taken.
func multipartForm(body []byte, boundary string) (form url.Values, files []string, err error) {
	const most = 200 // fields
	if boundary == "" {
		return nil, nil, errors.New("the Content-Type has no boundary")
	}
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	form = url.Values{}
	for range most {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return form, files, nil
		}
		if err != nil {
			return nil, nil, err
		}
		if name := part.FileName(); name != "" {
			files = append(files, name)
			continue
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return nil, nil, err
		}
		form.Add(part.FormName(), string(value))
	}
	return nil, nil, fmt.Errorf("it has more than %d fields", most)
}
