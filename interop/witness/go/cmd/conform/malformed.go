package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"kiln.example/interop/witness/internal/testlog"
	"kiln.example/interop/witness/internal/wire"
)

// malformed is a request to grow from 8 to 13 that is good but for one thing. What changes the text is signed.
type malformed struct {
	what    string
	old     string                  // in place of `old 8`
	proof   func([]string) []string // of the proof's lines
	text    func(string) string
	lines   func(string) string // of the signatures
	body    func(string) string
	allowed []int // other than 400
}

const stored, next = 8, 13

func (m malformed) build(log *testlog.Log) string {
	old, text := "old 8", log.Text(next)
	if m.old != "" {
		old = m.old
	}
	var proof []string
	for _, hash := range log.Tree.Consistency(stored, next) {
		proof = append(proof, hash.String())
	}
	if m.proof != nil {
		proof = m.proof(proof)
	}
	if m.text != nil {
		text = m.text(text)
	}
	lines := log.Lines(text)
	if m.lines != nil {
		lines = m.lines(lines)
	}
	body := strings.Join(slices.Concat([]string{old}, proof), "\n") + "\n\n" + text + "\n" + lines
	if m.body != nil {
		body = m.body(body)
	}
	return body
}

var allMalformed = slices.Concat(badOldLines, badProofLines, badTexts, badLines, badBodies)

// malformedLog is a log for each of them: one that is accepted must not hide what becomes of the next.
func malformedLog(i int) string { return fmt.Sprintf("malformed/%d", i) }

func checkMalformed(c *checker) {
	for i, m := range allMalformed {
		statuses := append([]int{400}, m.allowed...)
		c.Check(fmt.Sprintf("%s: %s", m.what, oneOf(statuses)), c.refusesMalformed(m, c.log(malformedLog(i)), statuses))
	}
	log := c.log("malformed")
	c.grows("a log", log, 0, stored)
	checkBodies(c, log)
	checkMethods(c, log)
	c.lives(log, stored, next)
}

// refusesMalformed sends a good request, the malformed one, and the one that it might have been.
func (c *checker) refusesMalformed(m malformed, log *testlog.Log, statuses []int) error {
	if answer, err := c.Post("/add-checkpoint", log.Grow(0, stored)); err != nil || answer.Status != 200 {
		return fmt.Errorf("a good request before it is answered %s (%v)", answer, err)
	}
	answer, err := c.Post("/add-checkpoint", m.build(log))
	if err := refusal(answer, err, statuses...); err != nil {
		return err
	}
	if answer, err := c.Post("/add-checkpoint", log.Grow(stored, next)); err != nil || answer.Status != 200 {
		return fmt.Errorf("a good request behind it is answered %s (%v)", answer, err)
	}
	return nil
}

var badOldLines = func() (bad []malformed) {
	for _, line := range []string{
		"old 08", "old +8", "old -8", "old  8", " old 8", "old 8 ", "old\t8", "old 8\t", "old 8\r", "Old 8", "OLD 8", "old", "old ", "8",
		"old 8 13", "old 8 0", "old 8.0", "old 8,0", "old 0x8", "old 8e0", "old 1_0", "old eight", "old ８", "old ٨", "size 8", "old: 8", "old=8", "older 8",
		"old 8\x00", "old 8\xff", "old\u00a08", "\ufeffold 8", "old 00", "old -0", "old 18446744073709551624", "old " + strings.Repeat("9", 100),
		"old 8\nold 8", "old 9223372036854775807", "old 9223372036854775808", "old 18446744073709551615", "old 18446744073709551616",
	} {
		bad = append(bad, malformed{what: fmt.Sprintf("%.40q", line), old: line})
	}
	return bad
}()

var badProofLines = func() (bad []malformed) {
	change := func(what string, to func(line string) string) {
		bad = append(bad, malformed{what: "a proof line " + what, proof: func(lines []string) []string {
			return append([]string{to(lines[0])}, lines[1:]...)
		}})
	}
	raw := func(line string) []byte {
		hash, _ := base64.StdEncoding.DecodeString(line)
		return hash
	}
	change("with a carriage return", func(line string) string { return line + "\r" })
	change("with a carriage return inside", func(line string) string { return line[:20] + "\r" + line[20:] })
	change("with a space behind", func(line string) string { return line + " " })
	change("with a space in front", func(line string) string { return " " + line })
	change("with a tab", func(line string) string { return line + "\t" })
	change("with a word behind", func(line string) string { return line + " 8" })
	change("with a line feed inside", func(line string) string { return line[:20] + "\n" + line[20:] })
	change("with a NUL", func(line string) string { return line + "\x00" })
	change("that is not UTF-8", func(line string) string { return line[:43] + "\xff" })
	change("without its padding", func(line string) string { return strings.TrimRight(line, "=") })
	change("with more padding", func(line string) string { return line + "=" })
	change("with stray bits", func(line string) string { return line[:42] + stray(line[42]) + "=" })
	change("in hex", func(line string) string { return fmt.Sprintf("%x", raw(line)) })
	change("in URL-safe base64", func(string) string { return base64.URLEncoding.EncodeToString(slices.Repeat([]byte{0xfb, 0xff}, 16)) })
	change("of 31 bytes", func(line string) string { return base64.StdEncoding.EncodeToString(raw(line)[:31]) })
	change("of 33 bytes", func(line string) string { return base64.StdEncoding.EncodeToString(append(raw(line), 0)) })
	change("of no bytes", func(string) string { return "=" })
	change("that is empty, and so the checkpoint begins early", func(string) string { return "" })
	change("in double quotes", func(line string) string { return `"` + line + `"` })
	return append(bad,
		malformed{what: "64 proof lines", proof: func(lines []string) []string { return slices.Repeat(lines[:1], 64) }},
		malformed{what: "64 proof lines, the good ones among them", proof: func(lines []string) []string {
			return append(lines, slices.Repeat(lines[:1], 64-len(lines))...)
		}},
		malformed{what: "1,000 proof lines", proof: func(lines []string) []string { return slices.Repeat(lines[:1], 1000) }},
	)
}()

// stray is another last character of base64 for the same 32 bytes: the two lowest of its bits say nothing.
func stray(last byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	return string(alphabet[strings.IndexByte(alphabet, last)^1])
}

var badTexts = func() (bad []malformed) {
	line := func(n int, what string, to func(line string) string, allowed ...int) {
		bad = append(bad, malformed{what: what, allowed: allowed, text: func(text string) string {
			lines := strings.SplitAfter(text, "\n")
			lines[n] = to(strings.TrimSuffix(lines[n], "\n")) + "\n"
			return strings.Join(lines, "")
		}})
	}
	add := func(what, extension string) {
		bad = append(bad, malformed{what: what, text: func(text string) string { return text + extension }})
	}
	for _, size := range []string{
		"013", "+13", "-13", " 13", "13 ", "13\t", "13\r", "13 13", "0x0d", "13.0", "1_3", "１３", "", "thirteen", "13\x00", "13\xff",
		"18446744073709551629", strings.Repeat("9", 100),
	} {
		line(1, fmt.Sprintf("signed tree size %.40q", size), func(string) string { return size })
	}
	line(2, "signed root of 31 bytes", func(root string) string {
		hash, _ := base64.StdEncoding.DecodeString(root)
		return base64.StdEncoding.EncodeToString(hash[:31])
	})
	line(2, "signed root of 33 bytes", func(root string) string {
		hash, _ := base64.StdEncoding.DecodeString(root)
		return base64.StdEncoding.EncodeToString(append(hash, 0))
	})
	line(2, "signed root without padding", func(root string) string { return strings.TrimRight(root, "=") })
	line(2, "signed root with stray bits", func(root string) string { return root[:42] + stray(root[42]) + "=" })
	line(2, "signed root with a space behind", func(root string) string { return root + " " })
	line(2, "signed root with a carriage return", func(root string) string { return root + "\r" })
	line(2, "signed root with a word behind", func(root string) string { return root + " sha256" })
	line(2, "signed root that is empty", func(string) string { return "" })
	line(0, "signed origin that is empty", func(string) string { return "" }, 404)
	line(0, "signed origin with a carriage return", func(origin string) string { return origin + "\r" }, 404)
	line(0, "signed origin with a tab", func(origin string) string { return origin + "\t" }, 404)
	line(0, "signed origin with a NUL", func(origin string) string { return origin + "\x00" }, 404)
	line(0, "signed origin that is not UTF-8", func(origin string) string { return origin + "\xff" }, 404)
	add("signed empty extension line", "\n")
	add("... before another", "\nan extension\n")
	add("... behind another", "an extension\n\n")
	add("... two of them", "\n\n")
	add("signed extension line with a tab", "an\textension\n")
	add("signed extension line with a carriage return", "an extension\r\n")
	add("signed extension line with a NUL", "an \x00 extension\n")
	add("signed extension line that is not UTF-8", "an \xff extension\n")
	add("signed extension line that is half a surrogate", "an \xed\xa0\x80 extension\n")
	add("signed extension line with an overlong slash", "an \xc0\xaf extension\n")
	add("signed extension line with an escape", "an \x1b[31m extension\n")
	return append(bad,
		malformed{what: "signed text of two lines", text: func(text string) string { return strings.Join(strings.SplitAfter(text, "\n")[:2], "") }},
		malformed{what: "signed text of one line", text: func(text string) string { return strings.SplitAfter(text, "\n")[0] }, allowed: []int{404}},
		malformed{what: "signed text with carriage returns", text: func(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }, allowed: []int{404}},
	)
}()

var badLines = func() (bad []malformed) {
	// What does not parse as a signature line may count as a malformed note or as no signature.
	change := func(what string, to func(line string) string) {
		bad = append(bad, malformed{what: "a signature line " + what, lines: to, allowed: []int{403}})
	}
	replace := func(from, to string) func(string) string {
		return func(line string) string { return strings.Replace(line, from, to, 1) }
	}
	change("without its newline", replace("\n", ""))
	change("with a carriage return", replace("\n", "\r\n"))
	change("with a space behind", replace("\n", " \n"))
	change("with a word behind", replace("\n", " word\n"))
	change("with a tab behind the dash", replace("— ", "—\t"))
	change("with two spaces behind the dash", replace("— ", "—  "))
	change("with a hyphen", replace("—", "-"))
	change("with an en dash", replace("—", "–"))
	change("without a dash", replace("— ", ""))
	change("without a name", func(line string) string { return "— " + line[strings.LastIndex(line, " ")+1:] })
	change("without base64", func(line string) string { return line[:strings.LastIndex(line, " ")+1] + "!\n" })
	change("with half of its base64", func(line string) string { return line[:len(line)-21] + "\n" })
	change("with NUL behind", replace("\n", "\x00\n"))
	change("that is not UTF-8", replace("— ", "— \xff"))
	change("and an empty line", func(line string) string { return line + "\n" })
	change("and text behind it", func(line string) string { return line + "text\n" })
	change("and half a line behind it", func(line string) string { return line + "— half" })
	change("of four bytes", func(line string) string { return line[:strings.LastIndex(line, " ")+1] + "AAAAAA==\n" })
	return bad
}()

var badBodies = []malformed{
	{what: "an empty body", body: func(string) string { return "" }},
	{what: "a newline", body: func(string) string { return "\n" }},
	{what: "two newlines", body: func(string) string { return "\n\n" }},
	{what: "the old size alone", body: func(string) string { return "old 8\n" }},
	{what: "the old size and an empty line", body: func(string) string { return "old 8\n\n" }},
	{what: "the checkpoint alone", body: func(body string) string { return body[strings.Index(body, "\n\n")+2:] }},
	{what: "no empty line before the checkpoint", body: func(body string) string { return strings.Replace(body, "\n\n", "\n", 1) }},
	{what: "two empty lines before the checkpoint", body: func(body string) string { return strings.Replace(body, "\n\n", "\n\n\n", 1) }},
	{what: "an empty line in front", body: func(body string) string { return "\n" + body }},
	{what: "no old size", body: func(body string) string { return body[strings.Index(body, "\n")+1:] }},
	{what: "carriage returns everywhere", body: func(body string) string { return strings.ReplaceAll(body, "\n", "\r\n") }},
	{what: "no newlines at all", body: func(body string) string { return strings.ReplaceAll(body, "\n", " ") }},
	{what: "JSON", body: func(string) string { return `{"old": 8, "proof": [], "checkpoint": ""}` }},
	{what: "NULs", body: func(string) string { return strings.Repeat("\x00", 1000) }},
	{what: "newlines", body: func(string) string { return strings.Repeat("\n", 10000) }},
	{what: "half of a body", body: func(body string) string { return body[:len(body)/2] }},
}

// checkBodies is what is too large.
func checkBodies(c *checker, log *testlog.Log) {
	body := log.Grow(stored, next)
	filler := strings.Repeat("— somebody.example/else "+strings.Repeat("A", 96)+"\n", 600)
	c.refused(fmt.Sprintf("a good body with lines by strangers, %d bytes", len(body)+len(filler)), body+filler, 413, 400)
	c.refused("70,000 bytes of one line", "old "+strings.Repeat("8", 70000)+"\n", 413, 400)
	// It may be answered, or the connection may end, before all of it is read.
	answer, err := c.Do(http.MethodPost, c.Submission+"/add-checkpoint", io.LimitReader(endless{}, 64<<20))
	if err == nil {
		err = refusal(answer, nil, 413, 400)
	} else {
		err = nil
	}
	c.Check("64 MiB in chunks: 413 or 400, or no answer", err)
}

type endless struct{}

func (endless) Read(buffer []byte) (int, error) {
	for i := range buffer {
		buffer[i] = "old 8\n"[i%6]
	}
	return len(buffer), nil
}

// checkMethods is requests that are none.
func checkMethods(c *checker, log *testlog.Log) {
	body := log.Grow(stored, next)
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodPatch} {
		answer, err := c.Do(method, c.Submission+"/add-checkpoint", strings.NewReader(body))
		c.Check(method+" add-checkpoint: 405, 404 or 400", refusal(answer, err, 405, 404, 400))
	}
	for _, path := range []string{"/add-checkpoint/", "/Add-checkpoint", "/add-checkpoint/x", "/add_checkpoint", "/x/../y"} {
		c.refusedAt(path, "POST "+path, body, 404, 405)
	}
}

// checkSizes is trees that nobody has. A proof from nothing is empty, so a witness has to believe in some of them.
func checkSizes(c *checker) {
	sized := func(log *testlog.Log, size string) string {
		return log.Note(fmt.Sprintf("%s\n%s\n%s\n", log.Origin, size, log.Tree.Root(7)))
	}
	const most = "9223372036854775807" // 2^63 - 1
	log := c.log("sizes-0")
	c.cosigned("the first checkpoint has size 2^63 - 1", wire.AddCheckpoint(0, nil, sized(log, most)))
	c.cosigned("... again", "old "+most+"\n\n"+sized(log, most))
	c.conflicts("... it says so", log.Grow(0, 5), 1<<63-1)
	c.refused("... and 2^63", "old "+most+"\n"+log.Tree.Root(1).String()+"\n\n"+sized(log, "9223372036854775808"), 400, 422)
	for i, size := range []string{"9223372036854775808", "18446744073709551615"} {
		log := c.log(fmt.Sprintf("sizes-%d", i+1))
		c.mayCosign("the first checkpoint has size "+size, wire.AddCheckpoint(0, nil, sized(log, size)))
	}
	log = c.log("sizes-3")
	c.refused("the first checkpoint has size 2^64", wire.AddCheckpoint(0, nil, sized(log, "18446744073709551616")), 400)
	c.grows("a log", log, 0, 8)
	for _, size := range []string{most, "9223372036854775808", "18446744073709551615"} {
		c.refused("from 8 to "+size+", a proof of 60 hashes", wire.AddCheckpoint(8, slices.Repeat(log.Tree.Consistency(8, 9)[:1], 60), sized(log, size)), 400, 422)
		c.refused("... of none", wire.AddCheckpoint(8, nil, sized(log, size)), 400, 422)
	}
	c.refused("from 8 to 2^64", wire.AddCheckpoint(8, nil, sized(log, "18446744073709551616")), 400)
	c.refused("from 2^64 to 9", "old 18446744073709551616\n\n"+log.Checkpoint(9), 400)
	c.refused("from 2^63 to 2^64 - 1", "old 9223372036854775808\n\n"+sized(log, "18446744073709551615"), 400, 409)
	c.lives(log, 8, 9)
	log = c.log("sizes-4")
	c.cosigned("the first checkpoint has size 2^62", wire.AddCheckpoint(0, nil, sized(log, "4611686018427387904")))
	c.refused("... from there to 2^63 - 1, 63 hashes of nothing", "old 4611686018427387904\n"+
		strings.Repeat(log.Tree.Root(1).String()+"\n", 63)+"\n"+sized(log, most), 422)
	log = c.log("sizes-5")
	c.grows("a log of one entry", log, 0, 1)
	c.refused("... from there to 2^63 - 1, 63 hashes of nothing", wire.AddCheckpoint(1, slices.Repeat(log.Tree.Consistency(8, 9)[:1], 63), sized(log, most)), 422)
	c.lives(log, 1, 2)
}

// mayCosign is for what the specification allows and many cannot count: 200 with good lines, or 400 or 422.
func (c *checker) mayCosign(what, body string) {
	answer, err := c.Post("/add-checkpoint", body)
	if err == nil && answer.Status == 200 {
		c.Check(what+": 200", nil)
		return
	}
	c.Check(what+": 200, 400 or 422", refusal(answer, err, 400, 422))
}
