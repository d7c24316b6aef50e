package checker

// A node of several answers from what it knows of the metadata, which may be old, but
// never goes back while the node lives. A view is what became of one thing, in the order
// in which the metadata log says so.

// view is the values that a thing has had, and which of them each node showed.
type view struct {
	values []string          // the first one is that of the beginning
	shown  map[int32][]shown // by node
}

// shown is a value that a node showed, by its index, and when that was known.
type shown struct {
	at    int64
	index int
}

// viewOf returns the view of a thing.
func (j *Judge) viewOf(name, beginning string) *view {
	v := j.views[name]
	if v == nil {
		v = &view{values: []string{beginning}, shown: map[int32][]shown{}}
		j.views[name] = v
	}
	return v
}

// changed says that a thing has another value.
func (v *view) changed(value string) {
	if v.values[len(v.values)-1] != value {
		v.values = append(v.values, value)
	}
}

// looked says that a node showed a value to somebody who asked at an instant. It reports
// false if the thing had no such value since the last one that the node had shown by
// then.
func (v *view) looked(node int32, value string, called, now int64) bool {
	from := 0
	for _, s := range v.shown[node] {
		if s.at < called {
			from = max(from, s.index)
		}
	}
	for i := from; i < len(v.values); i++ {
		if v.values[i] == value {
			v.shown[node] = append(v.shown[node], shown{at: now, index: i})
			return true
		}
	}
	return false
}

// NodeStarted says that a node begins a new life, in which it may know less than before.
func (j *Judge) NodeStarted(node int32) {
	for _, v := range j.views { // each by itself, in any order
		delete(v.shown, node)
	}
	j.born[node] = j.tick()
}

// TopicChanged says what id a topic's name has from now on; zero if there is no such
// topic.
func (j *Judge) TopicChanged(name string, id TopicID) {
	j.viewOf("topic "+name, topicText(TopicID{})).changed(topicText(id))
}

func topicText(id TopicID) string { return string(id[:]) }

// Described judges what a node says of a topic: that it has an id, or with a zero id that
// there is no such topic.
func (j *Judge) Described(node int32, name string, id TopicID, called int64) {
	if called <= j.born[node] {
		return // of an earlier life
	}
	v := j.viewOf("topic "+name, topicText(TopicID{}))
	if !v.looked(node, topicText(id), called, j.tick()) {
		j.Report(MetadataView, "topic", "%s: node %d shows the id %x, which it had not since node "+
			"%d last showed another", name, node, id, node)
	}
}

// ConfigChanged says what value a topic's configuration has from now on; empty if it has
// none of its own.
func (j *Judge) ConfigChanged(topic, name, value string) {
	j.viewOf("config "+topic+" "+name, "").changed(value)
}

// ConfigShown judges what a node says of a topic's configuration.
func (j *Judge) ConfigShown(node int32, topic, name, value string, called int64) {
	if called <= j.born[node] {
		return
	}
	v := j.viewOf("config "+topic+" "+name, "")
	if !v.looked(node, value, called, j.tick()) {
		j.Report(MetadataView, "config", "%s: node %d shows %s=%q, which it had not since node %d "+
			"last showed another", topic, node, name, value, node)
	}
}

// ProducerIDGranted judges that a producer id and epoch are given out once.
func (j *Judge) ProducerIDGranted(node int32, producerID int64, epoch int16) {
	key := granted{producerID, epoch}
	if other, given := j.granted[key]; given {
		j.Report(ProducerIDs, "twice", "producer id %d, epoch %d: by node %d and by node %d",
			producerID, epoch, other, node)
	}
	j.granted[key] = node
}

type granted struct {
	producerID int64
	epoch      int16
}
