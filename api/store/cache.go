package store

import "sync"

// cacheBytes bounds the memory of the connectors in it; one that is larger
// stands alone.
const cacheBytes = 50 << 20

// cache keeps connectors by id. It is never stale once a write has returned:
// writes go through it, and a reader that fetched a row while a write came in
// between does not put it back.
type cache struct {
	mu         sync.RWMutex
	generation uint64 // of writes
	connectors map[string]*Connector
	bytes      int // taken by connectors, about
	limit      int // of bytes
}

func newCache() *cache { return &cache{connectors: make(map[string]*Connector), limit: cacheBytes} }

// get returns a connector, nil if it is not here, and the generation to give to
// fill after it was read elsewhere.
func (c *cache) get(id string) (*Connector, uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.connectors[id], c.generation
}

// fill adds a connector that was read from the database, unless anything was
// written since the generation.
func (c *cache) fill(connector *Connector, generation uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation == generation {
		c.add(connector)
	}
}

// set puts a connector that was just written in the place of what is known of
// id; nil forgets it.
func (c *cache) set(id string, connector *Connector) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.remove(id)
	if connector != nil {
		c.add(connector)
	}
}

// forget drops the connectors of a space that was just deleted.
func (c *cache) forget(space string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	for id, connector := range c.connectors {
		if connector.Space == space {
			c.remove(id)
		}
	}
}

func (c *cache) add(connector *Connector) {
	c.remove(connector.ID)
	c.bytes += size(connector)
	for id := range c.connectors { // any: map order is as good as random
		if c.bytes <= c.limit {
			break
		}
		c.remove(id)
	}
	c.connectors[connector.ID] = connector
}

func (c *cache) remove(id string) {
	if known := c.connectors[id]; known != nil {
		c.bytes -= size(known)
		delete(c.connectors, id)
	}
}

// size estimates the bytes that a connector takes in the cache.
func size(c *Connector) int {
	const fixed = 400 // the struct, short strings and their place in the map
	return fixed + len(c.Name) + len(c.Config) + len(c.Secrets)
}
