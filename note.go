package zonewire

import "time"

// NoteKind says what happened to an article after a list had mailed it.
type NoteKind string

// The kinds of notes.
const (
	NoteCorrected NoteKind = "corrected"
	NoteWithdrawn NoteKind = "withdrawn"
)

// Note tells the readers of a list once what became of an article that they were mailed.
type Note struct {
	Article Article // as it is now
	Kind    NoteKind
	At      time.Time // when it was corrected or withdrawn
}

// Silence is a source that could not be reached, so that no news and a portal that is down differ.
type Silence struct {
	Source string    `json:"source"` // its title, else its host
	Zone   int64     `json:"zone"`   // 0: of several zones
	Since  time.Time `json:"since"`
}
