package ledger

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
)

// direct is a statement that goes past database/sql, which takes as long for a row as
// SQLite takes to insert it. It belongs to the writing goroutine, as its connection does.
type direct struct {
	stmt driver.Stmt
	args []driver.NamedValue
}

// directs are the statements of the hot path.
type directs struct{ record, records, execution, payload direct }

func (l *Ledger) prepare() error {
	for query, d := range map[string]*direct{
		insertRecord: &l.directs.record, insertRecords: &l.directs.records, insertExecution: &l.directs.execution, insertPayload: &l.directs.payload,
	} {
		err := l.writer.Raw(func(conn any) (err error) {
			d.stmt, err = conn.(driver.ConnPrepareContext).PrepareContext(context.Background(), query)
			return err
		})
		if err != nil {
			return err
		}
		d.args = make([]driver.NamedValue, d.stmt.NumInput())
		for i := range d.args {
			d.args[i].Ordinal = i + 1
		}
	}
	return nil
}

// close gives the statements back.
func (s *directs) close() error {
	var errs []error
	for _, d := range []*direct{&s.record, &s.records, &s.execution, &s.payload} {
		if d.stmt != nil {
			errs = append(errs, d.stmt.Close())
		}
	}
	return errors.Join(errs...)
}

// exec runs the statement with values of driver.Value's types and reports whether it
// returned a row, of one column.
func (d *direct) exec(values ...driver.Value) (returned bool, err error) {
	for i, v := range values {
		d.args[i].Value = v
	}
	return d.run()
}

// run is exec with the values that args have.
func (d *direct) run() (returned bool, err error) {
	// As a query the driver binds and steps in one call of C, and else in one for each value.
	rows, err := d.stmt.(driver.StmtQueryContext).QueryContext(context.Background(), d.args)
	if err != nil {
		return false, err
	}
	var column [1]driver.Value
	err = rows.Next(column[:])
	if errors.Is(err, io.EOF) {
		return false, rows.Close()
	}
	return err == nil, errors.Join(err, rows.Close())
}
