package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"kiln.example/interop/internal/seq"

	"kiln.example/interop/witness/internal/cosign"
	"kiln.example/interop/witness/internal/testlog"
	"kiln.example/interop/witness/internal/wire"
)

// checkPending: add-checkpoint is a witness', but for the signature.
func checkPending(c *checker) {
	log := c.log("pending")
	a, err := c.push(whole(log, 0, 5))
	c.refused("add-entries before any checkpoint", a, err, 422)
	c.pend(log, 0, 5)
	a, err = c.Post("/add-checkpoint", log.Grow(0, 7))
	if err == nil {
		var size int64
		if size, err = a.Size(); err == nil && (a.Status != 409 || size != 5) {
			err = fmt.Errorf("answered %s", a)
		}
	}
	c.Check("another old size: 409, 5", err)
	fork := log.On(testlog.Forked(3))
	a, err = c.Post("/add-checkpoint", fork.Grow(5, 5))
	c.refused("a fork of the same size", a, err, 422)
	a, err = c.Post("/add-checkpoint", fork.Grow(5, 9))
	c.refused("a fork that is larger", a, err, 422)
	a, err = c.Post("/add-checkpoint", logOf(c.seed, "stranger").Grow(0, 5))
	c.refused("an unknown log", a, err, 404)
	other := log.SignedBy(cosign.TestKey(cosign.Note, log.Origin, "somebody"))
	a, err = c.Post("/add-checkpoint", other.Grow(5, 9))
	c.refused("signed by somebody else", a, err, 403)
	a, err = c.Monitored(log.Origin)
	c.refused("nothing is mirrored yet", a, err, 404)
}

// checkStatuses: each rule of the processing of add-entries.
func checkStatuses(c *checker) {
	log := c.log("statuses")
	c.pend(log, 0, 700)
	raw := func(what string, body []byte, statuses ...int) {
		a, err := c.send(bytes.NewReader(body))
		c.refused(what, a, err, statuses...)
	}
	raw("an empty body", nil, 400)
	raw("half a header", whole(log, 0, 700).bytes()[:30], 400)
	raw("a start above the end", header(log.Origin, 9, 5, nil), 400)
	raw("an end of 2^63", header(log.Origin, 0, 1<<63, nil), 400, 409)
	raw("an end of 2^64 - 1", header(log.Origin, 1<<64-1, 1<<64-1, nil), 400, 409)
	raw("no origin", header("", 0, 700, nil), 404, 400)
	raw("an unknown origin", header("nobody.example", 0, 700, nil), 404)
	raw("an origin that is not UTF-8", header("\xff\xfe", 0, 700, nil), 404, 400)
	raw("no package", header(log.Origin, 0, 700, nil), 400)
	raw("half a package", whole(log, 0, 700).bytes()[:1000], 400)
	a, err := c.push(whole(log, 0, 600))
	c.says("no pending checkpoint of that size", a, err, 409, 700, 0)
	a, err = c.push(whole(log, 0, 800))
	c.says("a checkpoint that is not there yet", a, err, 409, 700, 0)
	a, err = c.push(whole(log, 256, 700))
	c.says("a start above the next entry", a, err, 409, 700, 0)
	u := whole(log, 0, 600)
	u.ticket = bytes.Repeat([]byte{7}, 65535)
	a, err = c.push(u)
	c.says("a ticket of one's own", a, err, 409, 700, 0)
	changed := func(what string, spoil func(pkg []byte) []byte, statuses ...int) {
		u := whole(log, 0, 700)
		u.packages = 1
		u.spoil = func(_ int, pkg []byte) []byte { return spoil(pkg) }
		a, err := c.push(u)
		c.refused(what, a, err, statuses...)
	}
	changed("an entry with a bit changed", func(pkg []byte) []byte { pkg[4] ^= 1; return pkg }, 422)
	changed("a proof with a bit changed", func(pkg []byte) []byte { pkg[len(pkg)-1] ^= 1; return pkg }, 422)
	proofless := func(hashes byte) func(pkg []byte) []byte {
		return func(pkg []byte) []byte {
			entries := pkg[:len(pkg)-1-32*len(log.Tree.SubtreeProof(0, 256, 700))]
			return append(append(entries, hashes), make([]byte, 32*int(hashes))...)
		}
	}
	changed("a proof of no hashes", proofless(0), 422)
	changed("a proof of 63 hashes", proofless(63), 422)
	changed("a proof of 64 hashes", proofless(64), 400, 422)
	fork := whole(log.On(testlog.Forked(3)), 0, 700)
	fork.entry = func(i int) []byte {
		if i >= 3 {
			return append(seq.Entry(i), " of a fork"...)
		}
		return seq.Entry(i)
	}
	a, err = c.push(fork)
	c.refused("entries of a fork, with its proofs", a, err, 422)
	for _, method := range []string{"GET", "PUT"} {
		a, err = c.Do(method, c.Submission+"/add-entries", strings.NewReader("x"))
		c.refused(method, a, err, 405)
	}
	a, err = c.send(bytes.NewReader(whole(log, 0, 700).bytes()), "Content-Type", "text/plain")
	c.refused("another media type", a, err, 400, 415)
	a, err = c.send(bytes.NewReader(whole(log, 0, 700).bytes()), "Content-Encoding", "br")
	c.refused("an encoding that it did not offer", a, err, 400, 415)
	a, err = c.Monitored(log.Origin)
	c.refused("nothing of all that is mirrored", a, err, 404)
	a, err = c.push(whole(log, 0, 700))
	c.mirrored("all of it, right", log, 700, a, err)
	if offered := a.Header.Get("Accept-Encoding"); true {
		err = nil
		if !strings.Contains(offered, "gzip") {
			err = fmt.Errorf("Accept-Encoding is %q", offered)
		}
		c.Check("it offers gzip", err)
	}
}

// checkPrefixes: an upload in pieces, each a prefix of the canonical sequence.
func checkPrefixes(c *checker) {
	log := c.log("prefixes")
	c.pend(log, 0, 300)
	u := whole(log, 0, 300)
	u.packages = 1
	a, err := c.push(u)
	ticket := c.says("one of two packages", a, err, 202, 300, 256)
	u = whole(log, 256, 300)
	u.ticket = ticket
	a, err = c.push(u)
	c.mirrored("the other", log, 300, a, err)
	// From the middle of a block on: the mirror has its beginning.
	c.pend(log, 300, 1300)
	u = whole(log, 300, 1300)
	u.packages = 2
	u.spoil = func(i int, pkg []byte) []byte {
		if i == 1 {
			pkg[4] ^= 1
		}
		return pkg
	}
	a, err = c.push(u)
	c.refused("the second package is wrong", a, err, 422)
	a, err = c.push(whole(log, 1300, 1300))
	c.says("... and the first was kept", a, err, 409, 1300, 512)
	body := append(whole(log, 512, 1300).bytes(), 0)
	a, err = c.send(bytes.NewReader(body))
	c.refused("a byte after the last package", a, err, 400)
	a, err = c.push(whole(log, 1300, 1300))
	c.mirrored("nothing more to send", log, 1300, a, err)
	a, err = c.push(whole(log, 1300, 1300))
	c.mirrored("the same again", log, 1300, a, err)
}

// checkOverlap: entries that are there already.
func checkOverlap(c *checker) {
	log := c.log("overlap")
	c.pend(log, 0, 20_000)
	u := whole(log, 0, 20_000)
	u.packages = 32
	a, err := c.push(u)
	c.says("32 packages", a, err, 202, 20_000, 8192)
	a, err = c.push(u)
	c.says("the same again, as if the answer was lost", a, err, 202, 20_000, 8192)
	u.start, u.packages = 8100, 33
	a, err = c.push(u)
	c.says("a start within what is there", a, err, 202, 20_000, 7936+33*256)
	u.start, u.packages = 0, 1
	a, err = c.push(u)
	c.says("far too much that is there", a, err, 409, 20_000, 7936+33*256)
	a, err = c.push(whole(log, 7936+33*256, 20_000))
	c.mirrored("the rest", log, 20_000, a, err)
}

// checkTickets: an older pending checkpoint, and the mirror checkpoint, which never goes back.
func checkTickets(c *checker) {
	log := c.log("tickets")
	c.pend(log, 0, 600)
	u := whole(log, 0, 600)
	u.packages = 1
	a, err := c.push(u)
	ticket := c.says("an upload begins", a, err, 202, 600, 256)
	for size := int64(600); size < 640; size++ {
		a, err = c.Post("/add-checkpoint", log.Grow(size, size+1))
		if err != nil || a.Status != 200 {
			c.Check("the log grows", fmt.Errorf("%s, %v", a, err))
			return
		}
	}
	u = whole(log, 256, 600)
	u.ticket = append([]byte{1}, ticket...)
	a, err = c.push(u)
	c.says("a ticket that was changed", a, err, 409, 640, 256)
	u.ticket = ticket
	u.packages = 1
	a, err = c.push(u)
	ticket = c.says("with its ticket it goes on to the older tree", a, err, 202, 600, 512)
	u = whole(log, 512, 600)
	u.ticket = ticket
	a, err = c.push(u)
	c.mirrored("... to its end", log, 600, a, err)
	a, err = c.push(whole(log, 600, 640))
	c.mirrored("then to the newest", log, 640, a, err)
	u = whole(log, 600, 600)
	u.ticket = ticket
	a, err = c.push(u)
	c.says("back to the older one", a, err, 409, 640, 640)
}

// checkGzip: compressed bodies.
func checkGzip(c *checker) {
	log := c.log("gzip")
	c.pend(log, 0, 1000)
	zipped := func(body []byte) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(body)
		_ = w.Close()
		return b.Bytes()
	}
	send := func(body []byte) (wire.Answer, error) {
		return c.send(bytes.NewReader(body), "Content-Encoding", "gzip")
	}
	good := whole(log, 0, 1000).bytes()
	a, err := send(good)
	c.refused("it says gzip and is not", a, err, 400)
	bomb := append(header(log.Origin, 0, 1000, nil), make([]byte, 512<<20)...)
	begun := time.Now()
	a, err = send(zipped(bomb))
	c.refused("512 MiB of nothing", a, err, 422, 400)
	c.Check("... refused soon", soon(time.Since(begun)))
	u := whole(log, 0, 1000)
	u.packages = 2
	a, err = send(zipped(u.bytes()))
	c.says("two packages, compressed", a, err, 202, 1000, 512)
	broken := zipped(whole(log, 512, 1000).bytes())
	broken[len(broken)-6] ^= 1
	a, err = send(broken)
	// Packages are authenticated one by one, so a mirror may go by them alone.
	if err == nil && a.Status == 200 {
		c.mirrored("a wrong checksum behind the last package", log, 1000, a, err)
	} else {
		c.refused("a wrong checksum behind the last package", a, err, 400, 202)
	}
	a, err = send(zipped(whole(log, 512, 1000).bytes()))
	c.mirrored("... and then as it should be", log, 1000, a, err)
}

func soon(took time.Duration) error {
	if took > 10*time.Second {
		return fmt.Errorf("after %s", took)
	}
	return nil
}

// checkCut: connections that break, and bodies that trickle.
func checkCut(c *checker) {
	log := c.log("cut")
	c.pend(log, 0, 1000)
	body := whole(log, 0, 1000).bytes()
	one, two := whole(log, 0, 1000), whole(log, 0, 1000)
	one.packages, two.packages = 1, 2
	if err := c.cut(body, len(two.bytes())+77); err != nil {
		c.Check("a connection that breaks", err)
		return
	}
	var a wire.Answer
	var err error
	for range 50 {
		a, err = c.push(whole(log, 1000, 1000))
		if i, wrong := parseInfo(a, 409); wrong == nil && i.next > 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.says("what was whole before the connection broke is kept", a, err, 409, 1000, 512)
	reader, writer := io.Pipe()
	go func() {
		rest := whole(log, 512, 1000).bytes()
		for len(rest) > 0 {
			n := min(len(rest), 700)
			_, _ = writer.Write(rest[:n])
			rest = rest[n:]
			time.Sleep(20 * time.Millisecond)
		}
		writer.Close()
	}()
	a, err = c.send(reader)
	c.mirrored("in chunks, slowly", log, 1000, a, err)
}

// cut sends the beginning of a request and closes the connection.
func (c *checker) cut(body []byte, at int) error {
	target, err := url.Parse(c.Submission)
	if err != nil {
		return err
	}
	conn, err := net.Dial("tcp", target.Host)
	if err != nil {
		return err
	}
	defer conn.Close()
	head := fmt.Sprintf("POST %s/add-entries HTTP/1.1\r\nHost: %s\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n",
		target.Path, target.Host, len(body))
	if _, err = conn.Write(append([]byte(head), body[:at]...)); err != nil {
		return err
	}
	time.Sleep(300 * time.Millisecond)
	return nil
}

// checkRaces: many push the same, in pieces of different sizes, while the log grows.
func checkRaces(c *checker) {
	log := c.log("races")
	c.pend(log, 0, 5000)
	var wait sync.WaitGroup
	errs := make(chan error, 64)
	for i := range 16 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			errs <- c.race(log, 5000, 1+i%7)
		}()
	}
	wait.Wait()
	close(errs)
	var failed error
	for err := range errs {
		if err != nil {
			failed = err
		}
	}
	c.Check("16 at once, each to the end", failed)
	a, err := c.push(whole(log, 5000, 5000))
	c.mirrored("all of it is mirrored", log, 5000, a, err)
}

func (c *checker) race(log *testlog.Log, end int64, packages int) error {
	u := whole(log, 0, end)
	u.packages = packages
	for range 200 {
		a, err := c.push(u)
		if err != nil {
			return err
		}
		if a.Status == 200 {
			return c.signed(log, end, a, nil)
		}
		i, err := parseInfo(a, a.Status)
		if err != nil || (a.Status != 202 && a.Status != 409) {
			return fmt.Errorf("answered %s: %v", a, err)
		}
		u.start, u.ticket = min(i.next, end), i.ticket
	}
	return fmt.Errorf("it never ends")
}

// checkSubtrees: signed under what is mirrored alone.
func checkSubtrees(c *checker) {
	log := c.log("subtrees")
	c.pend(log, 0, 14)
	hash, proof := log.Tree.Subtree(8, 13), log.Tree.SubtreeProof(8, 13, 14)
	a, err := c.Post("/sign-subtree", wire.SignSubtree(8, 13, hash, proof, log.Checkpoint(14)))
	c.refused("under a checkpoint that is pending", a, err, 403)
	a, err = c.push(whole(log, 0, 14))
	c.mirrored("mirrored", log, 14, a, err)
	a, err = c.Post("/sign-subtree", wire.SignSubtree(8, 13, hash, proof, log.Text(14)+"\n"+a.Body))
	if err == nil && (a.Status != 200 || !strings.HasPrefix(a.Body, "— ")) {
		err = fmt.Errorf("answered %s", a)
	}
	c.Check("under what is mirrored: 200", err)
}

// checkReads: the log as its readers see it, below the hash of its origin.
func checkReads(c *checker) {
	log := c.log("reads")
	c.pend(log, 0, 700)
	u := whole(log, 0, 700)
	u.packages = 2
	_, err := c.push(u)
	c.Check("an upload begins", err)
	prefix := fmt.Sprintf("%s/%x/", c.Monitoring, sha256.Sum256([]byte(log.Origin)))
	get := func(path string) (wire.Answer, error) { return c.Do(http.MethodGet, prefix+path, nil) }
	a, err := get("checkpoint")
	c.refused("no checkpoint while it is under way", a, err, 404)
	a, err = c.push(whole(log, 512, 700))
	c.mirrored("its end", log, 700, a, err)
	signed := a.Body
	for range 50 {
		if a, err = get("checkpoint"); err == nil && a.Status == 200 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err == nil && (a.Status != 200 || !strings.HasPrefix(a.Body, log.Checkpoint(700)) || !strings.HasSuffix(a.Body, signed)) {
		err = fmt.Errorf("it is %s", a)
	}
	c.Check("the checkpoint has the log's line and those that were returned", err)
	for _, tile := range tlog.NewTiles(8, 0, 700) {
		var data []byte
		width := int64(tile.W)
		for i := tile.N * 256; i < tile.N*256+width; i++ {
			size := int64(1) << (8 * tile.L)
			hash := log.Tree.Subtree(i*size, (i+1)*size)
			data = append(data, hash[:]...)
		}
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		a, err := get(path)
		if err == nil && (a.Status != 200 || a.Body != string(data)) {
			err = fmt.Errorf("it is %s", a)
		}
		c.Check(path, err)
	}
	a, err = get("tile/entries/002.p/188")
	if err == nil && (a.Status != 200 || !strings.HasSuffix(a.Body, string(seq.Entry(699)))) {
		err = fmt.Errorf("it is %s", a)
	}
	c.Check("tile/entries/002.p/188", err)
	for _, path := range []string{"tile/entries/002", "tile/0/002", "tile/0/0", "private/copy", "../logs", "log.json/"} {
		a, err = get(path)
		c.refused(path, a, err, 404, 400)
	}
}
