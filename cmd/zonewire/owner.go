package main

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// becomeOwner lets a command that root types beside an installed service act as the owner of the database: a write-ahead
// log that root made would lock the service out of its own database.
func becomeOwner(database fs.FileInfo) error {
	owner, ok := database.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 || owner.Uid == 0 {
		return nil
	}
	if err := syscall.Setgroups([]int{int(owner.Gid)}); err != nil {
		return fmt.Errorf("become the owner of the database: %w", err)
	}
	if err := syscall.Setgid(int(owner.Gid)); err != nil {
		return fmt.Errorf("become the owner of the database: %w", err)
	}
	if err := syscall.Setuid(int(owner.Uid)); err != nil {
		return fmt.Errorf("become the owner of the database: %w", err)
	}
	return nil
}
