//go:build unix

package main

import "syscall"

// ownGroup puts a child into a process group of its own, so that a signal to the
// terminal's group reaches only its parent.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
