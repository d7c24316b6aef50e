package quorum

import (
	"fmt"

	"github.com/heiban/heiban/core/invariant"
)

// quiet is raft's logger. What raft notes is dropped, since effects and reports tell
// it; where raft gives up, an invariant is broken.
type quiet struct{}

func (quiet) Debug(...any)            {}
func (quiet) Debugf(string, ...any)   {}
func (quiet) Info(...any)             {}
func (quiet) Infof(string, ...any)    {}
func (quiet) Warning(...any)          {}
func (quiet) Warningf(string, ...any) {}
func (quiet) Error(...any)            {}
func (quiet) Errorf(string, ...any)   {}

func (quiet) Fatal(v ...any)                 { invariant.Fail("raft: %s", fmt.Sprint(v...)) }
func (quiet) Fatalf(format string, v ...any) { invariant.Fail("raft: "+format, v...) }
func (quiet) Panic(v ...any)                 { invariant.Fail("raft: %s", fmt.Sprint(v...)) }
func (quiet) Panicf(format string, v ...any) { invariant.Fail("raft: "+format, v...) }
