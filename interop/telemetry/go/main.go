// telemetry checks alert rules and a dashboard against the metrics of a running Kiln, as Prometheus reads both.
//
//	telemetry -metrics FILE [-metrics FILE...] -rules alerts.yml -dashboard dashboard.json
//
// Each FILE is an answer of /metrics; it has to be OpenMetrics, a family in one piece. Each expression has to parse, ask for
// metrics that exist, and name labels that these have. It prints what is wrong, a line each, and exits 1.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// What a scrape adds to each sample, and what only several logs in one process have.
var added = []string{"job", "instance", "log"}

// samples has the names of all samples, each with the labels that it has.
type samples map[string]map[string]bool

var wrong int

func bad(format string, args ...any) {
	wrong++
	fmt.Printf("bad: "+format+"\n", args...)
}

func main() {
	var files []string
	flag.Func("metrics", "an answer of /metrics", func(file string) error { files = append(files, file); return nil })
	rules, dashboard := flag.String("rules", "", "alert rules"), flag.String("dashboard", "", "a dashboard")
	flag.Parse()
	known := samples{}
	for _, file := range files {
		known.read(file)
	}
	asked := map[string]bool{}
	for _, one := range append(inRules(*rules), inDashboard(*dashboard)...) {
		known.check(one, asked)
	}
	for name := range known {
		if family := family(name); !asked[family] && !strings.HasSuffix(name, "_created") {
			asked[family] = true
			fmt.Printf("note: nothing asks for %s\n", family)
		}
	}
	fmt.Printf("%d samples, %d wrong\n", len(known), wrong)
	if wrong > 0 || len(known) == 0 {
		os.Exit(1)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	return value
}

func (known samples) read(file string) {
	text := must(os.ReadFile(file))
	lexer := must(textparse.New(text, "application/openmetrics-text", labels.NewSymbolTable(), textparse.ParserOptions{}))
	var seen []string
	described := map[string]bool{}
	for {
		entry, err := lexer.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			bad("%s: %v", file, err)
			return
		}
		switch entry {
		case textparse.EntryType:
			name, _ := lexer.Type()
			if described[string(name)] {
				bad("%s: the family %s comes twice", file, name)
			}
			described[string(name)] = true
			known.describe(string(name))
		case textparse.EntrySeries:
			var of labels.Labels
			lexer.Labels(&of)
			name := of.Get(labels.MetricName)
			if known[name] == nil {
				known[name] = map[string]bool{}
			}
			of.Range(func(label labels.Label) { known[name][label.Name] = true })
			if last := family(name); len(seen) == 0 || seen[len(seen)-1] != last {
				if slices.Contains(seen, last) {
					bad("%s: the family %s is in pieces", file, last)
				}
				seen = append(seen, last)
			}
		}
	}
}

// A family that has no sample yet: its names are known, its labels are not.
func (known samples) describe(family string) {
	for _, suffix := range []string{"", "_total", "_bucket", "_count", "_sum"} {
		if known[family+suffix] == nil {
			known[family+suffix] = map[string]bool{}
		}
	}
}

func family(name string) string {
	for _, suffix := range []string{"_total", "_bucket", "_count", "_sum"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return name
}

// expression is one of PromQL, and where it stands.
type expression struct{ place, text string }

func (known samples) check(one expression, asked map[string]bool) {
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(one.text)
	if err != nil {
		bad("%s: %v", one.place, err)
		return
	}
	labelled := map[string]bool{}
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		selector, is := node.(*parser.VectorSelector)
		if !is {
			return nil
		}
		asked[family(selector.Name)] = true
		have, exists := known[selector.Name]
		if !exists {
			bad("%s: there is no %s", one.place, selector.Name)
			return nil
		}
		for label := range have {
			labelled[label] = true
		}
		for _, matcher := range selector.LabelMatchers {
			if len(have) > 0 && matcher.Name != labels.MetricName && !have[matcher.Name] && !slices.Contains(added, matcher.Name) {
				bad("%s: %s has no label %s", one.place, selector.Name, matcher.Name)
			}
		}
		return nil
	})
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		aggregate, is := node.(*parser.AggregateExpr)
		if !is || len(labelled) == 0 {
			return nil
		}
		for _, label := range aggregate.Grouping {
			if !labelled[label] && !slices.Contains(added, label) {
				bad("%s: nothing there has a label %s", one.place, label)
			}
		}
		return nil
	})
}

func inRules(file string) (found []expression) {
	var rules struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal(must(os.ReadFile(file)), &rules); err != nil {
		bad("%s: %v", file, err)
	}
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			found = append(found, expression{file + ": " + rule.Alert, rule.Expr})
		}
	}
	if len(found) == 0 {
		bad("%s: no rule", file)
	}
	return found
}

// What Grafana puts in the place of its variables.
var variables = regexp.MustCompile(`\$__rate_interval|\$job|\$log`)

func inDashboard(file string) (found []expression) {
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(must(os.ReadFile(file)), &board); err != nil {
		bad("%s: %v", file, err)
	}
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			text := variables.ReplaceAllStringFunc(target.Expr, func(name string) string {
				if name == "$__rate_interval" {
					return "1m"
				}
				return ".*"
			})
			found = append(found, expression{file + ": " + panel.Title, text})
		}
	}
	if len(found) == 0 {
		bad("%s: no panel", file)
	}
	return found
}
