// Googlexml stands in for Google Cloud Storage: the few requests of its XML API that Kiln makes, on a
// free loopback port, with what it holds in memory. It prints its URL first: googlexml BUCKET...
//
// It is written from the documents, https://cloud.google.com/storage/docs/xml-api/overview, and is no proof
// of how Google's servers behave. The emulators that there are do not take conditions in this API, or
// answer without a generation.
package main

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"kiln.example/interop/internal/cli"
)

func main() {
	cli.Exit("googlexml", run())
}

func run() error {
	if len(os.Args) < 2 {
		return cli.Usage("googlexml BUCKET...")
	}
	all := buckets{}
	for _, name := range os.Args[1:] {
		all[name] = &server{bucket: name, objects: map[string]object{}}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s/\n", listener.Addr())
	return http.Serve(listener, all)
}

// buckets is a server for each. One that there is not is missed by any of them.
type buckets map[string]*server

func (b buckets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if found, ok := b[name]; ok {
		found.ServeHTTP(w, r)
		return
	}
	(&server{}).ServeHTTP(w, r)
}

type server struct {
	bucket     string
	mutex      sync.Mutex
	objects    map[string]object
	generation int64
}

type object struct {
	body       []byte
	header     http.Header // content type, cache control
	generation int64
	modified   time.Time
}

func (o object) etag() string {
	sum := md5.Sum(o.body)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

type failure struct {
	XMLName xml.Name `xml:"Error"`
	Code    string
	Message string
	status  int
}

var (
	noBucket     = &failure{Code: "NoSuchBucket", Message: "The specified bucket does not exist.", status: 404}
	noKey        = &failure{Code: "NoSuchKey", Message: "The specified key does not exist.", status: 404}
	precondition = &failure{Code: "PreconditionFailed", Message: "At least one of the pre-conditions you specified did not hold.", status: 412}
	notAllowed   = &failure{Code: "MethodNotAllowed", Message: "The specified method is not allowed against this resource.", status: 405}
	badRequest   = &failure{Code: "InvalidArgument", Message: "Invalid argument.", status: 400}
)

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	bucket, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if failed := s.answer(w, r, bucket, name, body); failed != nil {
		w.Header().Set("Content-Type", "application/xml; charset=UTF-8")
		w.WriteHeader(failed.status)
		_ = xml.NewEncoder(w).Encode(failed)
	}
}

func (s *server) answer(w http.ResponseWriter, r *http.Request, bucket, name string, body []byte) *failure {
	switch {
	case bucket != s.bucket:
		return noBucket
	case name == "" && r.Method == http.MethodGet:
		return s.list(w, r)
	case name == "":
		return notAllowed
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return s.get(w, name)
	case r.Method == http.MethodPut:
		return s.put(w, r, name, body)
	case r.Method == http.MethodDelete:
		return s.remove(w, name)
	}
	return notAllowed
}

func (s *server) get(w http.ResponseWriter, name string) *failure {
	found, ok := s.objects[name]
	if !ok {
		return noKey
	}
	for key, values := range found.header {
		w.Header()[key] = values
	}
	w.Header().Set("Last-Modified", found.modified.Format(http.TimeFormat))
	w.Header().Set("Content-Length", strconv.Itoa(len(found.body)))
	found.describe(w)
	_, _ = w.Write(found.body)
	return nil
}

func (o object) describe(w http.ResponseWriter) {
	w.Header().Set("ETag", o.etag())
	w.Header().Set("x-goog-generation", strconv.FormatInt(o.generation, 10))
}

// An object that is not there has generation 0.
func (s *server) put(w http.ResponseWriter, r *http.Request, name string, body []byte) *failure {
	if condition := r.Header.Get("x-goog-if-generation-match"); condition != "" {
		generation, err := strconv.ParseInt(condition, 10, 64)
		if err != nil {
			return badRequest
		}
		if s.objects[name].generation != generation {
			return precondition
		}
	}
	header := http.Header{}
	for _, key := range []string{"Content-Type", "Cache-Control"} {
		header[key] = r.Header.Values(key)
	}
	s.generation++
	made := object{body, header, s.generation, time.Now().UTC()}
	s.objects[name] = made
	made.describe(w)
	return nil
}

func (s *server) remove(w http.ResponseWriter, name string) *failure {
	if _, ok := s.objects[name]; !ok {
		return noKey
	}
	delete(s.objects, name)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type listing struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	Contents              []content
	IsTruncated           bool
	NextContinuationToken string `xml:",omitempty"`
}

type content struct {
	Key          string
	Size         int
	LastModified string
	ETag         string
}

// Pages of a thousand, without a delimiter. A page begins after the name that its token is.
func (s *server) list(w http.ResponseWriter, r *http.Request) *failure {
	query := r.URL.Query()
	after := max(query.Get("start-after"), query.Get("continuation-token"))
	var names []string
	for name := range s.objects {
		if strings.HasPrefix(name, query.Get("prefix")) && name > after {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	page := listing{IsTruncated: len(names) > 1000}
	if page.IsTruncated {
		names = names[:1000]
		page.NextContinuationToken = names[999]
	}
	for _, name := range names {
		found := s.objects[name]
		modified := found.modified.Format(time.RFC3339)
		page.Contents = append(page.Contents, content{name, len(found.body), modified, found.etag()})
	}
	w.Header().Set("Content-Type", "application/xml; charset=UTF-8")
	_ = xml.NewEncoder(w).Encode(page)
	return nil
}
