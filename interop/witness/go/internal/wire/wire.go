// Package wire is what goes between a log and a witness: https://c2sp.org/tlog-witness#http-interface.
package wire

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// AddCheckpoint is the body of a request.
func AddCheckpoint(old int64, proof []tlog.Hash, note string) string {
	return fmt.Sprintf("old %d\n%s\n%s", old, hashes(proof), note)
}

// SignSubtree is the body of a request.
func SignSubtree(start, end int64, hash tlog.Hash, proof []tlog.Hash, note string) string {
	return fmt.Sprintf("subtree %d %d\n%s\n%s\n%s", start, end, hash, hashes(proof), note)
}

func hashes(proof []tlog.Hash) string {
	var text strings.Builder
	for _, hash := range proof {
		text.WriteString(hash.String() + "\n")
	}
	return text.String()
}

// MonitoringPath is where a witness shows what it cosigned of a log.
func MonitoringPath(origin string) string {
	return fmt.Sprintf("/%x/checkpoint", sha256.Sum256([]byte(origin)))
}

// Client asks one witness.
type Client struct {
	Submission, Monitoring string // prefixes
	HTTP                   *http.Client
}

// NewClient makes one that may have so many requests underway.
func NewClient(submission, monitoring string, connections int) *Client {
	trim := func(prefix string) string { return strings.TrimSuffix(prefix, "/") }
	return &Client{trim(submission), trim(monitoring), &http.Client{
		Timeout:       20 * time.Second,
		Transport:     &http.Transport{MaxIdleConnsPerHost: connections, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Answer is all of a response.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Post sends to a path below the submission prefix.
func (c *Client) Post(path, body string) (Answer, error) {
	return c.Do(http.MethodPost, c.Submission+path, strings.NewReader(body))
}

// Monitored asks for what the witness cosigned of a log.
func (c *Client) Monitored(origin string) (Answer, error) {
	return c.Do(http.MethodGet, c.Monitoring+MonitoringPath(origin), nil)
}

// Do sends any request.
func (c *Client) Do(method, url string, body io.Reader) (Answer, error) {
	request, err := http.NewRequest(method, url, body)
	if err != nil {
		return Answer{}, err
	}
	response, err := c.HTTP.Do(request)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	var text bytes.Buffer
	_, err = io.Copy(&text, io.LimitReader(response.Body, 1<<20))
	return Answer{response.StatusCode, response.Header, text.String()}, err
}

// Size is what a 409 says: the size that the witness cosigned last.
func (a Answer) Size() (int64, error) {
	if got := a.Header.Values("Content-Type"); len(got) != 1 || got[0] != "text/x.tlog.size" {
		return 0, fmt.Errorf("Content-Type %q, not text/x.tlog.size", got)
	}
	text, ended := strings.CutSuffix(a.Body, "\n")
	size, err := strconv.ParseInt(text, 10, 64)
	if !ended || err != nil || size < 0 || strconv.FormatInt(size, 10) != text {
		return 0, fmt.Errorf("the body %.60q is not a size and a newline", a.Body)
	}
	return size, nil
}

func (a Answer) String() string {
	body := a.Body
	if len(body) > 120 {
		body = body[:120] + "..."
	}
	return fmt.Sprintf("%d %q", a.Status, body)
}
