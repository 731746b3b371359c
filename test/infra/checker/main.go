// Checks what infra says by the parsers of those who will read it: a Dockerfile by BuildKit's, alert rules and PromQL by
// Prometheus's. It reads one JSON object and writes one.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	promqlparser "github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
)

type question struct {
	Dockerfile  string      `json:"dockerfile"`
	Rules       string      `json:"rules"`
	Expressions []string    `json:"expressions"`
	Situations  []situation `json:"situations"`
	Alerts      []alert     `json:"alerts"`
}

// An alert looks at its expression each minute of a past, and fires for what it found for so long.
type alert struct {
	situation
	ForMinutes int `json:"forMinutes"`
}

// A situation is a minute-by-minute past of some series, in the notation of Prometheus's own tests.
type situation struct {
	Series     string `json:"series"`
	Expression string `json:"expression"`
	Minutes    int    `json:"minutes"`
}

type copied struct {
	From    string   `json:"from"`
	Sources []string `json:"sources"`
	Target  string   `json:"target"`
}

type stage struct {
	Base       string   `json:"base"`
	Name       string   `json:"name"`
	Copies     []copied `json:"copies"`
	Runs       []string `json:"runs"`
	User       string   `json:"user"`
	Entrypoint []string `json:"entrypoint"`
}

type matcher struct {
	Metric string `json:"metric"`
	Label  string `json:"label"`
	Type   string `json:"type"`
	Value  string `json:"value"`
}

type expression struct {
	Fault    string    `json:"fault"`
	Metrics  []string  `json:"metrics"`
	Matchers []matcher `json:"matchers"`
}

type answer struct {
	Faults      []string     `json:"faults"`
	Stages      []stage      `json:"stages"`
	Expressions []expression `json:"expressions"`
	Found       []int        `json:"found"`
	// For each alert: the minutes in which it fires.
	Firing [][]int `json:"firing"`
}

func main() {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		panic(err)
	}
	told := answer{Faults: []string{}}
	if asked.Dockerfile != "" {
		stages, err := stagesOf(asked.Dockerfile)
		if err != nil {
			told.Faults = append(told.Faults, err.Error())
		}
		told.Stages = stages
	}
	if asked.Rules != "" {
		_, errs := rulefmt.Parse([]byte(asked.Rules), false, model.UTF8Validation)
		for _, err := range errs {
			told.Faults = append(told.Faults, err.Error())
		}
	}
	for _, text := range asked.Expressions {
		told.Expressions = append(told.Expressions, expressionOf(text))
	}
	for _, one := range asked.Situations {
		found, err := seriesFound(one)
		if err != nil {
			told.Faults = append(told.Faults, one.Expression+": "+err.Error())
		}
		told.Found = append(told.Found, found)
	}
	for _, one := range asked.Alerts {
		minutes, err := minutesFiring(one)
		if err != nil {
			told.Faults = append(told.Faults, one.Expression+": "+err.Error())
		}
		told.Firing = append(told.Firing, minutes)
	}
	if err := json.NewEncoder(os.Stdout).Encode(told); err != nil {
		panic(err)
	}
}

func stagesOf(text string) ([]stage, error) {
	parsed, err := parser.Parse(strings.NewReader(text))
	if err != nil {
		return nil, err
	}
	found, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		return nil, err
	}
	stages := []stage{}
	for _, one := range found {
		told := stage{Base: one.BaseName, Name: one.Name, Copies: []copied{}, Runs: []string{}, Entrypoint: []string{}}
		for _, command := range one.Commands {
			switch is := command.(type) {
			case *instructions.CopyCommand:
				told.Copies = append(told.Copies, copied{From: is.From, Sources: is.SourcePaths, Target: is.DestPath})
			case *instructions.RunCommand:
				told.Runs = append(told.Runs, strings.Join(is.CmdLine, " "))
			case *instructions.UserCommand:
				told.User = is.User
			case *instructions.EntrypointCommand:
				told.Entrypoint = is.CmdLine
			}
		}
		stages = append(stages, told)
	}
	return stages, nil
}

func expressionOf(text string) expression {
	told := expression{Metrics: []string{}, Matchers: []matcher{}}
	parsed, err := promqlparser.ParseExpr(text)
	if err != nil {
		told.Fault = err.Error()
		return told
	}
	promqlparser.Inspect(parsed, func(node promqlparser.Node, _ []promqlparser.Node) error {
		selector, ok := node.(*promqlparser.VectorSelector)
		if !ok {
			return nil
		}
		told.Metrics = append(told.Metrics, selector.Name)
		for _, one := range selector.LabelMatchers {
			if one.Name != labels.MetricName {
				told.Matchers = append(told.Matchers, matcher{selector.Name, one.Name, one.Type.String(), one.Value})
			}
		}
		return nil
	})
	return told
}

type panicking struct{}

func (panicking) Errorf(format string, values ...any) { panic(fmt.Sprintf(format, values...)) }
func (panicking) FailNow()                            { panic("the series cannot be read") }

// How many series the expression finds at the situation's last minute.
func seriesFound(asked situation) (int, error) {
	found := 0
	err := look(asked, asked.Minutes, func(_ int, vector promql.Vector) { found = len(vector) })
	return found, err
}

// As Prometheus does: an alert is of one set of labels, waits as long as it is found, and fires once it has waited.
func minutesFiring(asked alert) ([]int, error) {
	firing, since := []int{}, map[string]int{}
	err := look(asked.situation, 0, func(minute int, vector promql.Vector) {
		present, fires := map[string]int{}, false
		for _, sample := range vector {
			key := sample.Metric.DropMetricName().String()
			began, known := since[key]
			if !known {
				began = minute
			}
			present[key] = began
			fires = fires || minute-began >= asked.ForMinutes
		}
		since = present
		if fires {
			firing = append(firing, minute)
		}
	})
	return firing, err
}

// Asks the expression at each minute from the first to the situation's last.
func look(asked situation, from int, each func(minute int, vector promql.Vector)) error {
	storage := promqltest.LoadedStorage(panicking{}, "load 1m\n"+asked.Series)
	defer storage.Close()
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples:    1_000_000,
		Timeout:       time.Minute,
		LookbackDelta: 5 * time.Minute,
	})
	defer engine.Close()
	for minute := from; minute <= asked.Minutes; minute++ {
		at := time.Unix(0, 0).Add(time.Duration(minute) * time.Minute)
		query, err := engine.NewInstantQuery(context.Background(), storage, nil, asked.Expression, at)
		if err != nil {
			return err
		}
		vector, err := query.Exec(context.Background()).Vector()
		if err != nil {
			query.Close()
			return err
		}
		each(minute, vector)
		query.Close()
	}
	return nil
}
