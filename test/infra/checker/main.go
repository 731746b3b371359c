// Checks what infra says by the parsers of those who will read it: a Dockerfile by BuildKit's, alert rules and PromQL by
// Prometheus's. It reads one JSON object and writes one.
package main

import (
	"encoding/json"
	"os"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	promql "github.com/prometheus/prometheus/promql/parser"
)

type question struct {
	Dockerfile  string   `json:"dockerfile"`
	Rules       string   `json:"rules"`
	Expressions []string `json:"expressions"`
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
	parsed, err := promql.ParseExpr(text)
	if err != nil {
		told.Fault = err.Error()
		return told
	}
	promql.Inspect(parsed, func(node promql.Node, _ []promql.Node) error {
		selector, ok := node.(*promql.VectorSelector)
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
