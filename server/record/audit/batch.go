package audit

import "time"

// entry is a record on its way to the disk.
type entry struct {
	event  []byte
	time   time.Time
	waited bool // a caller waits for it
}

// batch is what one commit writes.
type batch struct {
	entries []entry
	memory  []byte // their events
	size    int    // of their events, in bytes
	waited  int    // how many callers wait
	commit  *commit
}

// commit is what callers wait for.
type commit struct {
	done chan struct{} // closed when it was tried
	err  error         // what became of it; not to be read before
}

// full reports whether nothing more is added.
func (b *batch) full() bool { return len(b.entries) >= together || b.size >= togetherBytes }

// memorySize is what a batch has room for before it asks for more, in bytes.
const memorySize = 32 << 10

func newBatch() *batch {
	b := new(batch)
	b.reset()
	return b
}

// reset empties a batch whose entries are used no more.
func (b *batch) reset() {
	clear(b.entries)
	*b = batch{entries: b.entries[:0], memory: b.memory[:0], commit: &commit{done: make(chan struct{})}}
}

// add puts a copy of an event into the batch.
func (b *batch) add(event []byte, at time.Time, waited bool) {
	if cap(b.memory)-len(b.memory) < len(event) { // entries keep what they are in
		b.memory = make([]byte, 0, max(memorySize, len(event)))
	}
	start := len(b.memory)
	b.memory = append(b.memory, event...)
	b.entries = append(b.entries, entry{b.memory[start:len(b.memory):len(b.memory)], at, waited})
	b.size += len(event)
	if waited {
		b.waited++
	}
}
