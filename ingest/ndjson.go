package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"zonewire"
)

// Object reads one article of the NDJSON form: a JSON object with the fields that the manual lists. Unknown fields are
// ignored. A field of another type than it should have is a [zonewire.ErrInvalid] that names it.
func Object(b []byte, opts Options) Record {
	return objectText(strings.ToValidUTF8(string(b), "\ufffd"), opts)
}

func objectText(text string, opts Options) Record {
	f, ok := quickObject(text)
	if !ok {
		var err error
		if f, err = decodeObject([]byte(text)); err != nil {
			return Record{Err: err}
		}
	}
	a, warnings, err := f.article(opts)
	return Record{Article: a, Err: err, Warnings: warnings}
}

// readNDJSON reads an object a line, or one array of objects.
func readNDJSON(in *lines, opts Options, yield func(func() Record) bool) {
	for start := true; ; {
		d, err := in.next()
		switch {
		case errors.Is(err, io.EOF):
			return
		case rejected(err):
			if !yield(failed(in.n, err)) {
				return
			}
			continue
		case err != nil:
			yield(failed(in.n+1, err))
			return
		}
		text := strings.TrimSpace(d.Text)
		if text == "" {
			continue
		}
		if start && strings.HasPrefix(text, "[") {
			readArray(in, text, opts, yield)
			return
		}
		start = false
		if at := in.n; !yield(func() Record { return object(text, d, at, opts) }) {
			return
		}
	}
}

func object(text string, d Decoded, line int, opts Options) Record {
	rec := objectText(text, opts)
	rec.Line = line
	if rec.Err == nil {
		rec.Article.Charset = d.Charset
		rec.Warnings = append(replacedWarning(d), rec.Warnings...)
	}
	return rec
}

// readArray reads the objects of one array. Each is held alone; what is no JSON ends the file, since nothing tells
// where the next object would begin.
func readArray(in *lines, head string, opts Options, yield func(func() Record) bool) {
	src := &arraySource{in: in, rest: []byte(head + "\n"), first: in.n}
	dec := json.NewDecoder(src)
	fail := func(err error) {
		if src.err != nil {
			err = src.err
		} else {
			err = zonewire.Invalidf("not JSON: %v; what follows was not read", err)
		}
		yield(failed(in.n, err))
	}
	if _, err := dec.Token(); err != nil { // the bracket
		fail(err)
		return
	}
	for dec.More() {
		src.budget = maxLine
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			fail(err)
			return
		}
		at := src.line(dec.InputOffset() - int64(len(raw)))
		d := Decoded{Charset: src.charset}
		if !yield(func() Record { return object(string(raw), d, at, opts) }) {
			return
		}
	}
	if _, err := dec.Token(); err != nil {
		fail(err)
	}
}

// arraySource feeds decoded lines to a JSON decoder, and remembers where each began until it has been used.
type arraySource struct {
	in      *lines
	rest    []byte
	read    int64 // bytes given so far
	budget  int   // bytes that one element may still take
	first   int   // line number of starts[0]
	starts  []int64
	charset string
	err     error
}

func (s *arraySource) Read(p []byte) (int, error) {
	if s.starts == nil {
		s.starts, s.budget, s.charset = []int64{0}, maxLine, charsetUTF8
	}
	if len(s.rest) == 0 {
		d, err := s.in.next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				s.err = err
			}
			return 0, err
		}
		if d.Charset != charsetUTF8 {
			s.charset = d.Charset
		}
		s.starts = append(s.starts, s.read)
		s.rest = append(mendJSON([]byte(d.Text)), '\n')
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	s.read += int64(n)
	if s.budget -= n; s.budget < 0 {
		s.err = zonewire.Invalidf("an object is longer than %d MB; what follows was not read", maxLine>>20)
		return n, s.err
	}
	return n, nil
}

// line is the number of the line that holds the byte at offset; lines before it are forgotten.
func (s *arraySource) line(offset int64) int {
	for len(s.starts) > 1 && s.starts[1] <= offset {
		s.starts = s.starts[1:]
		s.first++
	}
	return s.first
}

// mendJSON drops raw control characters, which some exporters leave in strings: the article is worth more than the
// rule of RFC 8259 section 7. A tab becomes a space.
func mendJSON(b []byte) []byte {
	return bytes.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r < ' ' && r != '\n' && r != '\r':
			return -1
		}
		return r
	}, b)
}

func decodeObject(b []byte) (fields, error) {
	var f fields
	var object map[string]json.RawMessage
	if err := json.Unmarshal(mendJSON(b), &object); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return f, zonewire.Invalidf("this must be a JSON object, not %s", article(kind.Value))
		}
		return f, zonewire.Invalidf("not JSON: %v", err)
	}
	if object == nil {
		return f, zonewire.Invalidf("this must be a JSON object, not null")
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if to, numbers := f.named(name); to != nil {
			if err := text(object, name, to, numbers); err != nil {
				return f, err
			}
		}
	}
	if raw := object["attachments"]; raw != nil {
		if err := json.Unmarshal(raw, &f.attachments); err != nil {
			return f, zonewire.Invalidf("field attachments must be an array of objects {url, name, type, length}, and %v", typeError(err))
		}
	}
	return f, nil
}

// text reads a string field; with numbers true the digits of a number pass as they are. null is the same as absent.
func text(object map[string]json.RawMessage, name string, to *string, numbers bool) error {
	raw := bytes.TrimSpace(object[name])
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return nil
	case raw[0] == '"':
		if err := json.Unmarshal(raw, to); err != nil {
			return zonewire.Invalidf("field %s: %v", name, err)
		}
		return nil
	case numbers && (raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9'):
		*to = string(raw)
		return nil
	}
	kind := "number"
	switch raw[0] {
	case '{':
		kind = "object"
	case '[':
		kind = "array"
	case 't', 'f':
		kind = "bool"
	}
	return zonewire.Invalidf("field %s must be a string, not %s", name, article(kind))
}

func typeError(err error) string {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return fmt.Sprintf("%s is %s", first(kind.Field, "it"), article(kind.Value))
	}
	return err.Error()
}

func article(kind string) string {
	if strings.HasPrefix(kind, "a") || strings.HasPrefix(kind, "o") {
		return "an " + kind
	}
	return "a " + kind
}
