package main

import (
	"fmt"
	"net/http"
	"net/http/httptrace"
	"strings"

	"kiln.example/interop/witness/internal/testlog"
	"kiln.example/interop/witness/internal/wire"
)

// checkMonitoring is https://c2sp.org/tlog-witness#monitor-retrieval-mechanism.
func checkMonitoring(c *checker) {
	get := func(what, path string, statuses ...int) {
		answer, err := c.Do(http.MethodGet, c.Monitoring+path, nil)
		c.Check(fmt.Sprintf("%s: %s", what, oneOf(statuses)), refusal(answer, err, statuses...))
	}
	get("a log that was never cosigned", wire.MonitoringPath(c.log("never").Origin), 404)
	get("an unknown log", wire.MonitoringPath(c.stranger().Origin), 404)
	log := c.log("monitored")
	path := wire.MonitoringPath(log.Origin)
	get("a log before it is cosigned", path, 404)
	c.refused("a first checkpoint with a bad signature", wire.AddCheckpoint(0, nil, log.Text(5)+"\n"+changed(log.Lines(log.Text(5)))), 403)
	get("... after which it is not cosigned", path, 404)

	lines := c.grows("the first checkpoint", log, 0, 5)
	c.monitored("... is shown, with the lines that were returned and the log's", log, log.Text(5), lines)
	c.refused("another tree", log.On(testlog.Forked(3)).Grow(5, 7), 422)
	c.conflicts("a wrong old size", log.Grow(4, 7), 5)
	c.monitored("... the same is shown", log, log.Text(5), lines)
	text := log.Text(7)
	stranger := testlog.New("stranger.example/monitored")
	body := wire.AddCheckpoint(5, log.Tree.Consistency(5, 7), text+"\n"+stranger.Lines(text)+log.Lines(text))
	lines = c.cosigned("the next one, with a line by a stranger", body)
	c.monitored("... is shown", log, text, lines)
	c.grows("a bystander", c.log("bystander"), 0, 9)
	c.monitored("... changes nothing", log, text, lines)

	hash := strings.Trim(strings.TrimSuffix(path, "checkpoint"), "/")
	get("the hash in capitals", "/"+strings.ToUpper(hash)+"/checkpoint", 404, 400)
	get("the hash without a digit", "/"+hash[:63]+"/checkpoint", 404, 400)
	get("the hash with a digit more", "/"+hash+"0/checkpoint", 404, 400)
	get("the origin in its place", "/"+log.Origin+"/checkpoint", 404, 400)
	get("no hash", "/checkpoint", 404, 400)
	get("the hash alone", "/"+hash, 404, 400)
	get("another file", "/"+hash+"/checkpoints", 404, 400)
	get("the way up", "/"+hash+"/../../checkpoint", 404, 400)
	get("the way up, escaped", "/%2e%2e/"+hash+"/checkpoint", 404, 400)
	answer, err := c.Do(http.MethodPost, c.Monitoring+path, strings.NewReader("x"))
	c.Check("POST of it: 405, 404 or 400", refusal(answer, err, 405, 404, 400))
}

// checkConnections is that connections are kept: https://c2sp.org/tlog-witness#http-interface.
func checkConnections(c *checker) {
	log := c.log("connections")
	var reused []bool
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = append(reused, info.Reused) }}
	alone := wire.NewClient(c.Submission, c.Monitoring, 1)
	var err error
	for _, body := range []string{log.Grow(0, 1), "nonsense", log.Grow(0, 2), log.Grow(1, 2), c.stranger().Grow(0, 1), log.Grow(2, 3)} {
		request, _ := http.NewRequest(http.MethodPost, c.Submission+"/add-checkpoint", strings.NewReader(body))
		response, failed := alone.HTTP.Do(request.WithContext(httptrace.WithClientTrace(request.Context(), trace)))
		if failed != nil {
			err = failed
			break
		}
		buffer := make([]byte, 1<<20)
		for failed == nil {
			_, failed = response.Body.Read(buffer)
		}
		response.Body.Close()
	}
	for _, again := range reused[min(1, len(reused)):] {
		if !again && err == nil {
			err = fmt.Errorf("a new one was needed: %v", reused)
		}
	}
	c.Check("six requests, good and bad, over one connection", err)
	types := wire.NewClient(c.Submission, c.Monitoring, 1)
	for i, header := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json", "application/octet-stream"} {
		request, _ := http.NewRequest(http.MethodPost, c.Submission+"/add-checkpoint", strings.NewReader(log.Grow(int64(3+i), int64(4+i))))
		if header != "" {
			request.Header.Set("Content-Type", header)
		}
		response, err := types.HTTP.Do(request)
		if err == nil {
			response.Body.Close()
			if response.StatusCode != 200 {
				err = fmt.Errorf("answered %s", response.Status)
			}
		}
		c.Check(fmt.Sprintf("a request with Content-Type %q: 200", header), err)
	}
}
