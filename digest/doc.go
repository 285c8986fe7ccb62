// Package digest says when a list is due, what goes into its mail, how the mail reads, and runs the heartbeat.
//
// The policy:
//
//   - A schedule is five cron fields on the wall clock of the list's time zone. Each wall time comes once: one that
//     daylight saving skips comes at the first instant after the gap, one that it repeats comes at its first pass.
//   - The database says what is due; the heartbeat only asks. Slots missed while nothing ran merge into the latest one.
//   - What goes in is chosen by the window of article sequences, which the store cuts; dates only put in order and
//     leave out what is too old. The same story from two zones is shown once in a mail, whichever zones its reader chose.
//   - Everything but the [Scheduler] is pure: the same question has the same answer, and no clock is read.
package digest
