package store

import (
	"embed"
	"io/fs"
	"strings"
)

//go:embed migrations
var migrations embed.FS

// dialect is what differs between engines; the queries do not.
type dialect struct {
	name string
	// tokens are what stands in a query for words of one engine: {skip} for example.
	tokens *strings.Replacer
	// numbered turns ?1 into $1.
	numbered bool
	// schemaTable makes the table schema_version.
	schemaTable string
	// groups says that small writes are worth gathering into one commit: see [DB.together].
	groups bool
	// parameters is how many a statement may have.
	parameters int
	// setIdentity makes the next row of a table, named by %[1]s as a text and %[2]s as a name, get a number of its own after rows
	// came with theirs; empty where the highest counts.
	setIdentity string
	// afterCopy takes statistics anew; empty where there are none.
	afterCopy string
	// afterPlan follows a digest of many mails, in its transaction; empty where the engine needs none.
	afterPlan string
	// begin is the first statement of a transaction, by its turn; there is none where one writer is all there is.
	begin map[turn]string
	// patience lets a transaction wait longer for its next statement, in milliseconds; empty where it may wait at will.
	patience string
}

// failure is what a failure of the driver asks for.
type failure int

const (
	final failure = iota // nothing: the caller hears of it
	again                // the engine asks for the transaction once more
	lost                 // the server, or the way to it, is gone for now; what was being committed may have been done
)

// judge says what a failure of either driver asks for.
func judge(err error) failure {
	return max(judgeSQLite(err), judgePostgres(err))
}

// mapError turns the drivers' failures into the root's sentinels, once, by code.
func mapError(err error) error {
	return explainPostgres(explainSQLite(err))
}

func (d *dialect) ddl() (fs.FS, error) { return fs.Sub(migrations, "migrations/"+d.name) }

// rewrite gives a query the words of the engine.
func (d *dialect) rewrite(text string) string {
	text = d.tokens.Replace(text)
	if d.numbered {
		text = dollars(text)
	}
	return text
}

// dollars writes the parameters ?1 as $1. What is quoted, or a comment, stays as it is.
func dollars(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		end := i + 1
		switch {
		case text[i] == '\'' || text[i] == '"':
			end = after(text, i+1, text[i:i+1])
		case strings.HasPrefix(text[i:], "--"):
			end = after(text, i+2, "\n")
		case strings.HasPrefix(text[i:], "/*"):
			end = after(text, i+2, "*/")
		case text[i] == '?' && end < len(text) && text[end] >= '1' && text[end] <= '9':
			b.WriteByte('$')
			i = end
			continue
		}
		b.WriteString(text[i:end])
		i = end
	}
	return b.String()
}

// after is where the first mark from a place on has ended; a doubled quote ends one string and begins the next, which comes
// to the same.
func after(text string, from int, mark string) int {
	if i := strings.Index(text[from:], mark); i >= 0 {
		return from + i + len(mark)
	}
	return len(text)
}
