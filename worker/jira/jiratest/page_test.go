package jiratest_test

import (
	"fmt"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"patchbay.dev/worker/jira/jiratest"
)

// metaPage is a page of issue types or fields, under the name of either face.
type metaPage struct {
	StartAt, Total     int
	IsLast             *bool
	Size               *int
	IssueTypes, Fields []metaItem
	Values             []metaItem
}

type metaItem struct {
	ID, FieldID, Name string
	Required          bool
}

func TestCreatemetaPagesToTheEnd(t *testing.T) {
	t.Parallel()
	tests := []struct {
		path string
		want []string
	}{
		{"issue/createmeta/CK/issuetypes", []string{"10006 Task", "10007 Sub-task", "10004 Bug", "10011 Incident"}},
		{"issue/createmeta/CK/issuetypes/10011", []string{"summary Summary", "issuetype Issue Type", "project Project",
			"parent Parent", "description Description", "labels Labels", "customfield_10001 Runbook",
			"customfield_10002 Impact", "customfield_10003 Cost"}},
	}
	for _, test := range tests {
		eachFace(t, jiratest.Options{PageSize: 3}, func(t *testing.T, c *client) {
			var got []string
			for start := 0; ; {
				var p metaPage
				// More is asked for than there is in a page.
				c.good("GET", fmt.Sprintf("%s?startAt=%d&maxResults=100", test.path, start), "", 200).decode(t, &p)
				items := append(append(p.IssueTypes, p.Fields...), p.Values...)
				if hasValues := p.Values != nil; hasValues == c.cloud || (p.IsLast == nil) != c.cloud || (p.Size == nil) != c.cloud {
					t.Errorf("page %+v", p)
				}
				for _, item := range items {
					got = append(got, item.ID+item.FieldID+" "+item.Name)
				}
				if p.StartAt != start || p.Total != len(test.want) || len(items) > 3 || len(items) == 0 {
					t.Fatalf("page %+v from %d", p, start)
				}
				start += len(items)
				if isLast := start == p.Total; p.IsLast != nil && *p.IsLast != isLast {
					t.Errorf("isLast %t at %d of %d", *p.IsLast, start, p.Total)
				}
				if start == p.Total {
					break
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("items (-want +got):\n%s", diff)
			}
			c.wantNoViolations()
		})
	}
}

// found is a page of a search on either face.
type found struct {
	Issues []struct {
		ID, Key string
		Fields  map[string]any
	}
	IsLast         *bool
	NextPageToken  string
	StartAt, Total *int
}

func TestSearchPagesToTheEnd(t *testing.T) {
	t.Parallel()
	const jql = `project = "CK" AND summary ~ "disk" ORDER BY created ASC`
	c := setup(t, jiratest.Options{PageSize: 2})
	dc := setup(t, jiratest.Options{PageSize: 2, DataCenter: true})
	for i := range 5 {
		c.good("POST", "issue", task(fmt.Sprintf("disk %d", i)), 201)
		dc.good("POST", "issue", task(fmt.Sprintf("disk %d", i)), 201)
	}
	want := []string{"CK-1 disk 0", "CK-2 disk 1", "CK-3 disk 2", "CK-4 disk 3", "CK-5 disk 4"}

	var got []string
	for token, post := "", false; ; post = !post {
		var p found
		if post {
			body := fmt.Sprintf(`{"jql":%q,"fields":["summary","key"],"nextPageToken":%q,"maxResults":50}`, jql, token)
			c.good("POST", "search/jql", body, 200).decode(t, &p)
		} else {
			query := url.Values{"jql": {jql}, "fields": {"summary,key"}}
			if token != "" {
				query.Set("nextPageToken", token)
			}
			c.good("GET", "search/jql?"+query.Encode(), "", 200).decode(t, &p)
		}
		if p.StartAt != nil || p.Total != nil || p.IsLast == nil || *p.IsLast != (p.NextPageToken == "") {
			t.Fatalf("page %+v", p)
		}
		for _, i := range p.Issues {
			got = append(got, fmt.Sprint(i.Key, " ", i.Fields["summary"]))
		}
		if token = p.NextPageToken; token == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("issues of Cloud (-want +got):\n%s", diff)
	}

	got = nil
	for post := false; ; post = !post {
		var p found
		if post {
			body := fmt.Sprintf(`{"jql":%q,"fields":["summary","key"],"startAt":%d}`, jql, len(got))
			dc.good("POST", "search", body, 200).decode(t, &p)
		} else {
			query := url.Values{"jql": {jql}, "fields": {"summary,key"}, "startAt": {fmt.Sprint(len(got))}}
			dc.good("GET", "search?"+query.Encode(), "", 200).decode(t, &p)
		}
		if p.StartAt == nil || *p.StartAt != len(got) || p.Total == nil || *p.Total != 5 || p.IsLast != nil || len(p.Issues) == 0 {
			t.Fatalf("page %+v", p)
		}
		for _, i := range p.Issues {
			got = append(got, fmt.Sprint(i.Key, " ", i.Fields["summary"]))
		}
		if len(got) == *p.Total {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("issues of Data Center (-want +got):\n%s", diff)
	}
	c.wantNoViolations()
	dc.wantNoViolations()
}

func TestCloudSearchTellsIdsAloneUnlessAsked(t *testing.T) {
	t.Parallel()
	c := setup(t, jiratest.Options{})
	c.good("POST", "issue", task("one"), 201)
	if got, want := c.good("GET", "search/jql?jql=project%3DCK", "", 200).Body, `{"isLast":true,"issues":[{"id":"10000"}]}`; got != want {
		t.Errorf("answer %s, want %s", got, want)
	}
}

func TestTokenOfAnotherQueryIsABreach(t *testing.T) {
	t.Parallel()
	c := setup(t, jiratest.Options{PageSize: 1})
	c.good("POST", "issue", task("one"), 201)
	c.good("POST", "issue", task("two"), 201)
	var p found
	c.good("GET", "search/jql?jql=project%3DCK", "", 200).decode(t, &p)
	query := url.Values{"jql": {"labels = x"}, "nextPageToken": {p.NextPageToken}}
	if got := c.send("GET", "search/jql?"+query.Encode(), ""); got.Status != 400 || len(c.Violations()) != 1 {
		t.Errorf("status %d, violations %q", got.Status, c.Violations())
	}
}

func TestEachFaceLacksTheSearchOfTheOther(t *testing.T) {
	t.Parallel()
	eachFace(t, jiratest.Options{}, func(t *testing.T, c *client) {
		path, status, want := "search", 410, `{"errorMessages":["The requested API has been removed. Please migrate to the /rest/api/3/search/jql API. `+
			`A full migration guideline is available at https://developer.atlassian.com/changelog/#CHANGE-2046"],"errors":{}}`
		if !c.cloud {
			path, status, want = "search/jql", 404, `{"message":"HTTP 404 Not Found","status-code":404}`
		}
		for _, got := range []reply{
			c.send("GET", path+"?jql=project%3DCK", ""),
			c.send("POST", path, `{"jql":"project=CK"}`),
		} {
			if got.Status != status || got.Body != want {
				t.Errorf("answer %d %s, want %d %s", got.Status, got.Body, status, want)
			}
		}
		c.wantNoViolations() // it is how a client finds out whom it speaks to
	})
}
