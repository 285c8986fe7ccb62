package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"zonewire/store"
)

func newDBVerify(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "Prove that the counts sum and the references hold",
		Long: `Check what always holds of a database: every recipient of every digest is accounted
for, nobody gets one twice, the windows of a list follow each other, every reference
leads to a row. It changes nothing and may run beside the daemon. What is wrong is
told with examples, and the exit code is 1.`,
		Example: `  zonewire db verify
  zonewire db verify -o json`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd.Context(), mustExist, func(db *session) error {
				bar := a.bar(-1, "verifying", "checks")
				checks, err := db.Verify(cmd.Context(), func(_ string, done, total int) {
					bar.ChangeMax(total)
					_ = bar.Set(done) // a bar that cannot be drawn is no reason to stop
				})
				_ = bar.Finish()
				if err != nil {
					return err
				}
				return a.out.verified(checks)
			})
		},
	}
}

// checkView is a check as scripts read it.
type checkView struct {
	Name     string   `json:"name"`
	OK       bool     `json:"ok"`
	Wrong    int      `json:"wrong"`    // rows
	Examples []string `json:"examples"` // the first of them
}

// verified prints checks. Its error is [errReported] if one found something wrong.
func (p printer) verified(checks []store.Check) error {
	var views []checkView
	rows := [][]string{{"CHECK", "RESULT"}}
	examples, sound := "", true
	for _, c := range checks {
		v := checkView{c.Name, c.Wrong == 0, c.Wrong, append([]string{}, c.Examples...)}
		views = append(views, v)
		if v.OK {
			rows = append(rows, []string{v.Name, "ok"})
			continue
		}
		sound = false
		rows = append(rows, []string{v.Name, strconv.Itoa(v.Wrong) + " wrong"})
		examples += "\n" + v.Name + ":\n"
		for _, e := range v.Examples {
			examples += "  " + oneLine(e) + "\n"
		}
		if more := v.Wrong - len(v.Examples); more > 0 {
			examples += "  and " + strconv.Itoa(more) + " more\n"
		}
	}
	var err error
	if p.json {
		err = p.object(views)
	} else {
		err = p.write(table(rows) + examples)
	}
	if err == nil && !sound {
		return errReported
	}
	return err
}
