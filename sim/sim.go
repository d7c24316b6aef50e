// Package sim runs whole systems in one goroutine, over simulated time, disks,
// networks and clients: the very core that runs in production, with faults. A run is
// a function of its seed and configuration alone, to the last bit: Result.Hash says
// so. The package knows how a node, a disk and a client's connection behave, and
// nothing of what Kafka promises: that is for the observers of a run.
//
// Start at New, World.AddActor, World.Observe and World.Run. An event of the run goes
// through World.dispatch; a broker's step and its effects are in node.go, nodedisk.go
// and nodenet.go; what a power loss leaves is in diskcrash.go.
package sim
