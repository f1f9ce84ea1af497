package connector

// ServerLog writes a line to the worker's log. Source: Kibana 8.19 stack
// connector ".server-log".
var ServerLog = Type[None, None, ServerLogParams]{
	About: About{
		ID:       ".server-log",
		Name:     "Server log",
		License:  "basic",
		Features: []string{"alerting", "uptime", "siem"},
	},
	// A line that stands in the log twice harms nobody; one that is missing may.
	Repeat: func(ServerLogParams) Policy { return Policy{Safe: true} },
}

// ServerLogParams are the params of one ".server-log" execution.
type ServerLogParams struct {
	Message string   `json:"message"` // may be empty
	Level   LogLevel `json:"level" default:"\"info\""`
}

// LogLevel is a log level of Kibana.
type LogLevel string

// OneOf lists the levels in Kibana's order, the least severe first.
func (LogLevel) OneOf() []string {
	return []string{"trace", "debug", "info", "warn", "error", "fatal"}
}
