package catalog

// Topic is what an upstream can be asked to tell about: a resource that is updated, or a task that goes on.
type Topic struct {
	Task bool
	ID   string // the upstream's URI of the resource, or id of the task
}

// String names the topic for people.
func (t Topic) String() string {
	if t.Task {
		return "task " + quote(t.ID)
	}
	return t.ID
}
