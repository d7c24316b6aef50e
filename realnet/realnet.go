// Package realnet is production's driver and devices: TCP connections, files, syncs,
// the wall clock, and the one mutex around the core. It holds every goroutine of a
// running broker and takes no decision about Kafka. Start at Start, then Driver.step:
// whoever has an event takes the mutex, steps the core, files what it ordered into
// queues, and then carries out what nobody else is carrying out.
package realnet
