package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"
	"unicode/utf8"

	"zonewire"
)

// eachRow reads one row after the other; fn must not keep the slice.
func eachRow(ctx context.Context, q querier, text query, fn func(row []any) error) error {
	rows, err := q.x.QueryContext(ctx, q.text(text))
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	row, into := make([]any, len(columns)), make([]any, len(columns))
	for i := range row {
		into[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if err := fn(row); err != nil {
			return err
		}
	}
	return rows.Err()
}

// tableHash hashes rows so that no two tables of different content look alike: each value begins with its kind, and text
// and bytes with their length.
type tableHash struct {
	h    hash.Hash
	row  []byte
	rows int64
}

func newTableHash(columns []string) *tableHash {
	t := &tableHash{h: sha256.New()}
	for _, name := range columns {
		t.row = appendText(t.row, 'c', name)
	}
	t.h.Write(t.row)
	return t
}

func appendText(b []byte, kind byte, s string) []byte {
	return append(binary.BigEndian.AppendUint64(append(b, kind), uint64(len(s))), s...)
}

func (t *tableHash) add(row []any) error {
	t.row = t.row[:0]
	for _, v := range row {
		switch v := v.(type) {
		case nil:
			t.row = append(t.row, 'n')
		case int64:
			t.row = binary.BigEndian.AppendUint64(append(t.row, 'i'), uint64(v))
		case string:
			t.row = appendText(t.row, 't', v)
		case []byte:
			t.row = append(binary.BigEndian.AppendUint64(append(t.row, 'b'), uint64(len(v))), v...)
		default:
			return fmt.Errorf("a value of type %T, which no column has", v)
		}
	}
	t.h.Write(t.row)
	t.rows++
	return nil
}

func (t *tableHash) sum(of schemaTable) CopiedTable {
	return CopiedTable{Name: of.name, Rows: t.rows, Hash: hex.EncodeToString(t.h.Sum(nil))}
}

// A statement inserts so many rows, or so many bytes: more is no faster, and each text is parsed and kept by the engine.
const (
	insertRows  = 512
	insertBytes = 4 << 20
)

// tableWriter inserts rows in sets. The numbers of rows in a statement are powers of two, so that a table has few texts.
type tableWriter struct {
	q       querier
	table   schemaTable
	columns []string
	most    int
	texts   map[int]string
	args    []any
	bytes   int

	id      int   // where the row's own number is
	selfs   []int // where it refers to its own table
	forward []forward
}

// forward is a reference to a row of the same table that comes later. Engines check references when a statement ends, so it
// is set when all rows are there.
type forward struct {
	column string
	id, to int64
}

func newTableWriter(q querier, t schemaTable, columns []string) *tableWriter {
	w := &tableWriter{q: q, table: t, columns: columns, most: insertRows, texts: map[int]string{}, id: slices.Index(columns, "id")}
	for w.most*len(columns) > q.db.dialect.parameters {
		w.most /= 2
	}
	for _, r := range references {
		if r.table == t.name && r.to == t.name {
			w.selfs = append(w.selfs, slices.Index(columns, r.column))
		}
	}
	return w
}

func (w *tableWriter) add(ctx context.Context, row []any) error {
	from := len(w.args)
	w.args = append(w.args, row...)
	row = w.args[from:]
	for i, v := range row {
		switch v := v.(type) {
		case string:
			w.bytes += len(v)
			if !w.q.db.isSQLite() && (strings.ContainsRune(v, 0) || !utf8.ValidString(v)) {
				return zonewire.Invalidf("the row %s has in %s what PostgreSQL cannot store as text (a NUL, or what is no UTF-8)", w.name(row), w.columns[i])
			}
		case []byte:
			w.bytes += len(v)
		}
	}
	for _, i := range w.selfs {
		id, _ := row[w.id].(int64)
		if to, ok := row[i].(int64); ok && to > id {
			w.forward = append(w.forward, forward{w.columns[i], id, to})
			row[i] = nil
		}
	}
	if len(w.args) < w.most*len(w.columns) && w.bytes < insertBytes {
		return nil
	}
	return w.flush(ctx)
}

// name tells a row by its key.
func (w *tableWriter) name(row []any) string {
	var values []string
	for key := range strings.SplitSeq(w.table.key, ", ") {
		values = append(values, fmt.Sprint(row[slices.Index(w.columns, key)]))
	}
	return strings.Join(values, ", ")
}

func (w *tableWriter) flush(ctx context.Context) error {
	for n, args := w.most, w.args; len(args) > 0; {
		if len(args) < n*len(w.columns) {
			n /= 2
			continue
		}
		text, ok := w.texts[n]
		if !ok {
			text = w.q.text(w.table.insertText(w.columns, n))
			w.texts[n] = text
		}
		if _, err := w.q.x.ExecContext(ctx, text, args[:n*len(w.columns)]...); err != nil {
			return err
		}
		args = args[n*len(w.columns):]
	}
	clear(w.args)
	w.args, w.bytes = w.args[:0], 0
	return nil
}

// close writes what is left, and the references that had to wait.
func (w *tableWriter) close(ctx context.Context) error {
	if err := w.flush(ctx); err != nil {
		return err
	}
	for _, f := range w.forward {
		text := query("UPDATE " + quoted(w.table.name) + " SET " + quoted(f.column) + " = ?2 WHERE id = ?1")
		if _, err := w.q.exec(ctx, text, f.id, f.to); err != nil {
			return err
		}
	}
	return nil
}
