package jiratest

import (
	"net/http"
	"strconv"
)

func (c *call) listIssueTypes() (job, *answer) {
	start, size, refusal := c.paging()
	if refusal != nil {
		return job{}, refusal
	}
	project := c.path[2]
	return job{[]string{project}, func() *answer {
		if !c.knows(project) {
			return noProject(project)
		}
		shown := []object{}
		for _, t := range page(issueTypes, start, size) {
			shown = append(shown, object{
				"self": c.self("issuetype/%s", t.id), "id": t.id, "name": t.name,
				"description": t.description, "subtask": t.subtask,
			})
		}
		return c.paged("issueTypes", shown, start, size, len(issueTypes))
	}}, nil
}

func (c *call) listFields() (job, *answer) {
	start, size, refusal := c.paging()
	if refusal != nil {
		return job{}, refusal
	}
	project, id := c.path[2], c.path[4]
	return job{[]string{project, id}, func() *answer {
		kind := findType(id, "")
		switch {
		case !c.knows(project):
			return noProject(project)
		case kind == nil:
			return failed(http.StatusBadRequest, "The issue type with id '"+id+"' does not exist.")
		}
		shown := []object{}
		for _, f := range fields {
			if f.on(kind) {
				shown = append(shown, f.show(kind))
			}
		}
		return c.paged("fields", page(shown, start, size), start, size, len(shown))
	}}, nil
}

// noProject is what Jira says of a project that is not there or not seen.
func noProject(key string) *answer {
	return failed(http.StatusBadRequest, "No project could be found with key '"+key+"'.")
}

func (f field) show(t *issueType) object {
	schema := object{"type": f.kind, "system": f.id}
	if len(f.id) > len("customfield_") && f.id[:len("customfield_")] == "customfield_" {
		number, _ := strconv.Atoi(f.id[len("customfield_"):]) // the table of fields is right
		schema = object{"type": f.kind, "custom": "com.atlassian.jira.plugin.system.customfieldtypes:" + f.kind, "customId": number}
	}
	if f.items != "" {
		schema["items"] = f.items
	}
	shown := object{
		"required": f.demandedBy(t), "schema": schema, "name": f.name, "key": f.id, "fieldId": f.id,
		"hasDefaultValue": f.id == "priority", "operations": []string{"set"},
	}
	if f.allowed != nil {
		shown["allowedValues"] = f.allowed
	}
	if f.id == "priority" {
		shown["defaultValue"] = priorities[2]
	}
	return shown
}

// paged is a page as Cloud gives it, under key, or as Data Center does.
func (c *call) paged(key string, shown []object, start, size, total int) *answer {
	if !c.options.DataCenter {
		return ofJSON(http.StatusOK, object{"startAt": start, "maxResults": size, "total": total, key: shown})
	}
	return ofJSON(http.StatusOK, object{
		"startAt": start, "maxResults": size, "total": total, "isLast": start+len(shown) >= total,
		"size": len(shown), "values": shown,
	})
}

// paging reads startAt and maxResults; a page is never larger than the options
// allow, whatever is asked for.
func (c *call) paging() (start, size int, refusal *answer) {
	start, err := c.number("startAt", 0)
	if err == nil {
		size, err = c.number("maxResults", c.options.PageSize)
	}
	if err != nil || start < 0 || size < 1 {
		return 0, 0, c.breach(http.StatusBadRequest, "startAt or maxResults is no number that counts")
	}
	return start, min(size, c.options.PageSize), nil
}

func (c *call) number(name string, otherwise int) (int, error) {
	if !c.query.Has(name) {
		return otherwise, nil
	}
	return strconv.Atoi(c.query.Get(name))
}

func (c *call) serverInfo() (job, *answer) {
	return job{nil, func() *answer {
		info := object{
			"baseUrl": c.url, "version": "1001.0.0-SNAPSHOT", "versionNumbers": []int{1001, 0, 0},
			"deploymentType": "Cloud", "buildNumber": 100290, "serverTitle": "Jira",
		}
		if c.options.DataCenter {
			info["version"], info["versionNumbers"], info["deploymentType"] = "9.12.0", []int{9, 12, 0}, "Server"
		}
		return ofJSON(http.StatusOK, info)
	}}, nil
}

func (c *call) myself() (job, *answer) {
	return job{nil, func() *answer {
		me := c.user()
		me["emailAddress"], me["timeZone"] = c.options.Email, "Etc/UTC"
		return ofJSON(http.StatusOK, me)
	}}, nil
}

func (s *Server) user() object {
	if s.options.DataCenter {
		return object{"self": s.self("user?username=patchbay"), "name": "patchbay", "key": "JIRAUSER10000", "displayName": "Patchbay", "active": true}
	}
	const id = "5b10a2844c20165700ede21g"
	return object{"self": s.self("user?accountId=" + id), "accountId": id, "accountType": "app", "displayName": "Patchbay", "active": true}
}
