// Rounds adds entries to a log that has witnesses, one a round, and judges each checkpoint that comes of it:
//
//	rounds -to URL -log VKEY[,VKEY...] [-witness NAME=VKEY[,VKEY...]]... [-quorum K] [-rounds N] [-at-most 5s]
//
// It is the only one that adds, from an empty log on or, with -state FILE, from where it stopped last: so it knows
// each root. A checkpoint is good if each key of the log signed it and K witnesses cosigned it, with no bad line by
// anybody known, if its tree is that of the entries, and if it is there as soon as the entry is answered. Rounds may
// not take longer than -at-most.
//
// Prints one line of figures, and of each witness how many checkpoints it cosigned, as they were published at first; exits 1
// if a checkpoint was not good.
package main

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"kiln.example/interop/internal/cli"

	"kiln.example/interop/witness/internal/judge"
	"kiln.example/interop/witness/internal/merkle"
)

func main() {
	cli.Exit("rounds", run())
}

// rounds is what is seen of them.
type rounds struct {
	url      string
	policy   judge.Policy
	name     string // makes the entries those of this log
	client   *http.Client
	tree     *merkle.Tree
	size     int64
	took     []time.Duration
	cosigned map[string]int
}

func run() error {
	r := rounds{cosigned: map[string]int{}}
	flag.StringVar(&r.url, "to", "", "URL of the log")
	log := flag.String("log", "", "keys of the log, with commas")
	flag.Func("witness", "a witness, and its keys", func(text string) error {
		witness, err := judge.ParseWitness(text)
		r.policy.Witnesses = append(r.policy.Witnesses, witness)
		return err
	})
	flag.IntVar(&r.policy.Quorum, "quorum", 0, "how many witnesses are needed")
	count := flag.Int("rounds", 30, "how many")
	most := flag.Duration("at-most", 5*time.Second, "how long one may take")
	flag.StringVar(&r.name, "name", "a round", "what the entries begin with")
	state := flag.String("state", "", "file that keeps how many entries the log has, all of this name")
	flag.Parse()
	var err error
	if r.policy.Log, err = judge.ParseVKeys(*log); err != nil {
		return cli.Usage("-log: %v", err)
	}
	if r.size, err = begin(*state); err != nil {
		return err
	}
	r.tree = merkle.New(func(i int) []byte { return r.entry(int64(i)) })
	r.client = &http.Client{Timeout: *most + time.Second}
	began := time.Now()
	for range *count {
		if err = r.round(*most); err != nil {
			err = fmt.Errorf("round of size %d: %w", r.size+1, err)
			break
		}
	}
	fmt.Println(r.figures(time.Since(began)))
	if *state != "" {
		if err := os.WriteFile(*state, []byte(strconv.FormatInt(r.size, 10)), 0o644); err != nil {
			return err
		}
	}
	return err
}

func begin(state string) (int64, error) {
	raw, err := os.ReadFile(state)
	if state == "" || os.IsNotExist(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(raw), 10, 64)
}

func (r *rounds) entry(i int64) []byte { return fmt.Appendf(nil, "%s %d", r.name, i) }

// round adds one entry, and reads the checkpoint once it is answered.
func (r *rounds) round(most time.Duration) error {
	began := time.Now()
	index, err := r.ask(http.MethodPost, "/add", string(r.entry(r.size)))
	if err != nil {
		return err
	}
	took := time.Since(began)
	if strings.TrimSpace(index) != strconv.FormatInt(r.size, 10) {
		return fmt.Errorf("the entry's index is %q, not %d", index, r.size)
	}
	r.size++
	raw, err := r.ask(http.MethodGet, "/checkpoint", "")
	if err != nil {
		return err
	}
	verdict, err := r.policy.Judge(raw)
	switch {
	case err != nil:
		return err
	case verdict.Tree.N != r.size || verdict.Tree.Hash != r.tree.Root(r.size):
		return fmt.Errorf("published is size %d, root %s; the entries make %d, %s", verdict.Tree.N, verdict.Tree.Hash, r.size, r.tree.Root(r.size))
	case took > most:
		return fmt.Errorf("it took %s", took)
	}
	r.took = append(r.took, took)
	for name := range verdict.Cosigned {
		r.cosigned[name]++
	}
	return nil
}

func (r *rounds) ask(method, path, body string) (string, error) {
	request, err := http.NewRequest(method, r.url+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	response, err := r.client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %.200s", method, path, response.Status, text)
	}
	return string(text), err
}

func (r *rounds) figures(took time.Duration) string {
	slices.Sort(r.took)
	at := func(p float64) int64 {
		if len(r.took) == 0 {
			return 0
		}
		return r.took[int(p*float64(len(r.took)-1))].Milliseconds()
	}
	text := fmt.Sprintf("rounds=%d seconds=%.1f p50_ms=%d p99_ms=%d max_ms=%d cosigned:", len(r.took), took.Seconds(), at(0.5), at(0.99), at(1))
	for _, witness := range r.policy.Witnesses {
		text += fmt.Sprintf(" %s=%d", witness.Name, r.cosigned[witness.Name])
	}
	return text
}
