package connector

// All lists every connector type in Kibana's order of registration. A new type
// is a file in this folder, a line here, a folder in worker and a line in
// worker/handlers.go.
var All = []Definition{
	Index,
	ServerLog,
	Jira,
}
