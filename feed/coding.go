package feed

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// The codings that a snapshot is ready in, in the order in which the server prefers them. The last is none at all.
const (
	brotliForm = iota
	zstdForm
	gzipForm
	plainForm
	codings
)

// coding is one of them: its name in HTTP, what marks its entity tags, and the extension of files.
type coding struct{ name, mark, extension string }

var codingOf = [codings]coding{
	brotliForm: {"br", "-br", ".br"},
	zstdForm:   {"zstd", "-zs", ".zst"},
	gzipForm:   {"gzip", "-gz", ".gz"},
}

const (
	// brotliLevel is about as small as gzip can never be, at a tenth of the time of the levels above.
	brotliLevel = 5
	// zstdWindow is below the 8 MiB that a reader may refuse to go beyond (RFC 9659), and above any document.
	zstdWindow = 1 << 20
)

// coder packs documents: the same bytes always come out the same, for a strong entity tag names them. It keeps what
// compressors need, which is some MiB each. The zero value is ready, and safe for concurrent use.
type coder struct{ brotli, zstd, gzip sync.Pool }

// pack gives body in the coding that a form stands for, in a slice of its exact size: it is kept for long.
func (c *coder) pack(form int, body []byte) (packed []byte, err error) {
	switch form {
	case brotliForm:
		w, ok := c.brotli.Get().(*brotli.Writer)
		if !ok {
			w = brotli.NewWriterLevel(nil, brotliLevel)
		}
		defer c.brotli.Put(w)
		packed, err = packWith(w, body)
	case gzipForm:
		w, ok := c.gzip.Get().(*gzip.Writer)
		if !ok {
			if w, err = gzip.NewWriterLevel(nil, gzip.BestCompression); err != nil {
				return nil, fmt.Errorf("compress feed: %w", err)
			}
		}
		defer c.gzip.Put(w)
		packed, err = packWith(w, body)
	case zstdForm:
		w, ok := c.zstd.Get().(*zstd.Encoder)
		if !ok {
			w, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithWindowSize(zstdWindow),
				zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))
			if err != nil {
				return nil, fmt.Errorf("compress feed: %w", err)
			}
		}
		defer c.zstd.Put(w)
		return bytes.Clone(w.EncodeAll(body, nil)), nil
	default:
		return body, nil
	}
	if err != nil {
		return nil, fmt.Errorf("compress feed: %w", err)
	}
	return packed, nil
}

// packWith runs body through a compressor that was used before, or not yet.
func packWith(w interface {
	io.WriteCloser
	Reset(io.Writer)
}, body []byte) ([]byte, error) {
	var b bytes.Buffer
	w.Reset(&b)
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return bytes.Clone(b.Bytes()), nil
}

// unpack reads what pack made for the gzip form.
func unpack(packed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpack feed: %w", err)
	}
	body, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("unpack feed: %w", err)
	}
	return bytes.Clone(body), nil
}
