package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"zonewire"
)

// A process that is frozen, or cut off, within a transaction must not hold its locks for ever: the server ends the session
// when the next statement does not come. It is set for the transaction alone, since behind PgBouncer the session is another's.
const (
	idleFree = "SELECT set_config('idle_in_transaction_session_timeout', '15000', true)"
	idleTurn = "SELECT set_config('idle_in_transaction_session_timeout', '30000', true) FROM counter WHERE name = "
)

var postgresDialect = &dialect{
	name: "postgres",
	tokens: strings.NewReplacer(
		"{skip}", " FOR UPDATE SKIP LOCKED",
		"{lock}", " FOR UPDATE",
		"{like}", "ILIKE", // the columns are COLLATE "C", so that it folds the letters of ASCII and no others, as SQLite does
		"{over article_text}", "", // too wide for a B-tree's entry
		"{tables}", "(SELECT table_name AS name FROM information_schema.tables WHERE table_schema = current_schema()) tables",
	),
	numbered:    true,
	schemaTable: `CREATE TABLE schema_version (version BIGINT NOT NULL); INSERT INTO schema_version (version) VALUES (0)`,
	parameters:  65_535, // the 16 bits of Bind
	setIdentity: `SELECT setval(pg_get_serial_sequence('%[1]s', 'id'), MAX(id)) FROM %[2]s HAVING MAX(id) IS NOT NULL`,
	// With the statistics of the day before, claims were five times slower.
	afterPlan: `ANALYZE delivery`,
	afterCopy: `ANALYZE`,
	begin: map[turn]string{
		free:    idleFree,
		writers: idleTurn + "'writer' FOR UPDATE",
		feeds:   idleTurn + "'feed' FOR UPDATE",
		senders: idleFree + " FROM counter WHERE name = 'sending' FOR SHARE",
	},
	patience: "SELECT set_config('idle_in_transaction_session_timeout', CAST(CAST($1 AS BIGINT) AS TEXT), true)",
}

var errNoAddress = zonewire.Invalidf("database: name a file such as zonewire.db, or a server as postgres://user@host/name")

// isServer reports whether a DSN names a server and not a file.
func isServer(dsn string) bool {
	return strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://")
}

const (
	oldestPostgres  = 140000 // as server_version_num has it
	connectFor      = 5 * time.Second
	unansweredFor   = 20 * time.Second // then TCP gives a connection up
	clocksApart     = 5 * time.Second
	defaultMaxConns = 24
	keepIdleFor     = 5 * time.Minute
)

// postgresConfig reads a DSN. Beside what libpq knows it may hold pool_max_conns, the connections that a process opens at
// most. A daemon must write: without target_session_attrs it takes a server that does.
func postgresConfig(dsn string) (config *pgx.ConnConfig, conns int, err error) {
	if !isServer(dsn) {
		return nil, 0, errNoAddress
	}
	if config, err = pgx.ParseConfig(dsn); err != nil {
		return nil, 0, fmt.Errorf("database: %w: %w", zonewire.ErrInvalid, err) // pgx leaves the password out
	}
	conns = defaultMaxConns
	if text, some := config.RuntimeParams["pool_max_conns"]; some {
		if conns, err = strconv.Atoi(text); err != nil || conns < 3 {
			return nil, 0, zonewire.Invalidf("database: pool_max_conns=%s: it must be a number from 3 on", text)
		}
		delete(config.RuntimeParams, "pool_max_conns")
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "zonewire"
	}
	if !strings.Contains(dsn, "target_session_attrs") {
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectFor
	}
	config.DialFunc = (&net.Dialer{KeepAlive: connectFor, Control: giveUp}).DialContext
	// A server that was demoted goes on answering: the connections that still lead there must end.
	config.OnPgError = func(_ *pgconn.PgConn, e *pgconn.PgError) bool {
		return e.SeverityUnlocalized != "FATAL" && e.Severity != "FATAL" && e.Code != codeReadOnly
	}
	return config, conns, nil
}

// giveUp bounds how long TCP sends again what nobody acknowledges: Linux would go on for a quarter of an hour.
func giveUp(_, _ string, c syscall.RawConn) error {
	const tcpUserTimeout = 18 // linux/tcp.h
	var setErr error
	err := c.Control(func(fd uintptr) {
		setErr = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(unansweredFor.Milliseconds()))
	})
	if errors.Is(setErr, syscall.ENOPROTOOPT) || errors.Is(setErr, syscall.EOPNOTSUPP) { // a Unix socket, or another system
		setErr = nil
	}
	return errors.Join(err, setErr)
}

func postgresPool(config *pgx.ConnConfig, conns int) *sql.DB {
	pool := stdlib.OpenDB(*config)
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	pool.SetConnMaxIdleTime(keepIdleFor)
	return pool
}

// openPostgres opens a database of a server. Reads have connections of their own, or transactions that wait for their turn
// would hold them all.
func openPostgres(ctx context.Context, db *DB, dsn string, create bool) error {
	config, conns, err := postgresConfig(dsn)
	if err != nil {
		return err
	}
	where := fmt.Sprintf("open database %s on %s", config.Database, config.Host)
	db.gates = newGates()
	readers := conns / 3
	db.w, db.r = postgresPool(config, conns-readers), postgresPool(config, readers)
	err = checkServer(ctx, db.w, time.Now)
	if err == nil {
		err = db.migrate(ctx, create)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", where, mapError(err)), db.Close())
	}
	return nil
}

// checkServer refuses a server that is too old, or whose clock is another than ours: the leases of several daemons are
// measured by their clocks.
func checkServer(ctx context.Context, pool *sql.DB, clock func() time.Time) error {
	var version, theirs int64
	var encoding string
	const text = `SELECT current_setting('server_version_num')::BIGINT, current_setting('server_encoding'), (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT`
	if err := pool.QueryRowContext(ctx, "SELECT 1").Scan(&version); err != nil { // so that the connection stands when it counts
		return err
	}
	before := clock()
	if err := pool.QueryRowContext(ctx, text).Scan(&version, &encoding, &theirs); err != nil {
		return err
	}
	between := before.Add(clock().Sub(before) / 2)
	switch apart := between.Sub(time.UnixMilli(theirs)).Abs(); {
	case version < oldestPostgres:
		return zonewire.Invalidf("PostgreSQL %d is too old: 14 is needed, and 15 is tested", version/10000)
	case encoding != "UTF8":
		return zonewire.Invalidf("the database's encoding is %s: make it with ENCODING 'UTF8'", encoding)
	case apart > clocksApart:
		return zonewire.Invalidf("this machine's clock and the database's are %s apart: set them by NTP", apart.Round(100*time.Millisecond))
	}
	return nil
}

// Exists reports whether a server's database holds a zonewire database. It makes nothing. dsn is a postgres:// address.
func Exists(ctx context.Context, dsn string) (bool, error) {
	config, _, err := postgresConfig(dsn)
	if err != nil {
		return false, err
	}
	pool := postgresPool(config, 1)
	var all, ours int
	err = pool.QueryRowContext(ctx, postgresDialect.rewrite(string(qSchemaTables))).Scan(&all, &ours)
	if err != nil {
		err = fmt.Errorf("database %s on %s: %w", config.Database, config.Host, mapError(err))
	}
	return ours > 0, errors.Join(err, pool.Close())
}

// Codes of PostgreSQL, appendix A of its manual.
const (
	codeReadOnly = "25006" // a server that follows another
	codeUnique   = "23505"
)

func judgePostgres(err error) failure {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch e.Code {
		case "40001", "40P01", "55P03", codeUnique, "42P07", "42710": // what another has added at the same moment is there at the next look
			return again
		case "57P01", "57P02", "57P03", "53300", "25P03", codeReadOnly:
			return lost
		}
		if strings.HasPrefix(e.Code, "08") {
			return lost
		}
		return final
	}
	_, dialing := errors.AsType[*pgconn.ConnectError](err)
	switch {
	case dialing && !errors.Is(err, context.Canceled): // also when it took too long
		return lost
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return final
	}
	_, network := errors.AsType[net.Error](err)
	if network || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		err != nil && strings.Contains(err.Error(), "conn closed") { // pgx has no name for it
		return lost
	}
	return final
}

// connectError says why no host could be reached in one line, and once: pgx takes a line a try, with and without TLS.
type connectError struct{ error }

func (e connectError) Unwrap() error { return e.error }

func (e connectError) Error() string {
	_, tries, some := strings.Cut(e.error.Error(), "\n\t")
	if !some {
		return e.error.Error()
	}
	var reasons []string
	for try := range strings.SplitSeq(tries, "\n\t") {
		if !slices.Contains(reasons, try) {
			reasons = append(reasons, try)
		}
	}
	if without := slices.DeleteFunc(slices.Clone(reasons), func(r string) bool { return strings.Contains(r, "server refused TLS") }); len(without) > 0 {
		reasons = without // it was asked again without, as sslmode=prefer says
	}
	return "cannot connect: " + strings.Join(reasons, "; ")
}

func explainPostgres(err error) error {
	if _, dialing := errors.AsType[*pgconn.ConnectError](err); dialing {
		err = connectError{err}
	}
	if judgePostgres(err) == lost {
		return fmt.Errorf("%w: %w", zonewire.ErrUnavailable, err)
	}
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	for _, m := range []struct {
		code     string
		sentinel error
		remedy   string
	}{
		{codeUnique, zonewire.ErrExists, "it was added at the same moment"},
		{"40001", zonewire.ErrBusy, "others write the same: try again"},
		{"40P01", zonewire.ErrBusy, "others write the same: try again"},
		{"55P03", zonewire.ErrBusy, "others write the same: try again"},
		{"53100", zonewire.ErrFull, "make room where the database is"},
		{"42501", zonewire.ErrReadOnly, "its user must own the database, or have the rights CONNECT, CREATE and USAGE"},
		{"3D000", zonewire.ErrNotFound, "make it with createdb"},
		{"28P01", zonewire.ErrInvalid, "check user and password"},
		{"28000", zonewire.ErrInvalid, "check user, password and pg_hba.conf"},
		{"26000", zonewire.ErrInvalid, "behind PgBouncer add default_query_exec_mode=exec to the address"},
		{"42P05", zonewire.ErrInvalid, "behind PgBouncer add default_query_exec_mode=exec to the address"},
	} {
		if e.Code == m.code {
			return fmt.Errorf("%w: %w: %s", m.sentinel, err, m.remedy)
		}
	}
	return err
}
