// Answers, line by line, what the Collector's filter processor makes of a configuration and a request.
//
// Build: GOFLAGS=-mod=mod go build -o /tmp/filter-oracle .
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"

	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/filterprocessor"
)

// question is one line of the input; the request is OTLP protobuf in base64.
type question struct {
	Signal string         `json:"signal"`
	Config map[string]any `json:"config"`
	Input  []byte         `json:"input"`
}

// answer is one line of the output.
type answer struct {
	ConfigError string `json:"config_error,omitempty"`
	Error       string `json:"error,omitempty"`
	Output      []byte `json:"output"`
}

func main() {
	questions := json.NewDecoder(os.Stdin)
	questions.UseNumber()
	answers := json.NewEncoder(os.Stdout)
	for questions.More() {
		var q question
		if err := questions.Decode(&q); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		if err := answers.Encode(ask(q)); err != nil {
			os.Exit(1)
		}
	}
}

func ask(q question) answer {
	factory := filterprocessor.NewFactory()
	cfg := factory.CreateDefaultConfig()
	conf := confmap.NewFromStringMap(plain(q.Config).(map[string]any))
	if err := conf.Unmarshal(&cfg); err != nil {
		return answer{ConfigError: err.Error()}
	}
	if err := cfg.(interface{ Validate() error }).Validate(); err != nil {
		return answer{ConfigError: err.Error()}
	}
	settings := processor.Settings{
		ID: component.NewID(factory.Type()),
		TelemetrySettings: component.TelemetrySettings{
			Logger:         zap.NewNop(),
			TracerProvider: tracenoop.NewTracerProvider(),
			MeterProvider:  noop.NewMeterProvider(),
		},
	}
	output, configErr, err := process(q, factory, settings, cfg)
	switch {
	case configErr != nil:
		return answer{ConfigError: configErr.Error()}
	case err != nil:
		return answer{Error: err.Error()}
	}
	return answer{Output: output}
}

func process(q question, factory processor.Factory, settings processor.Settings, cfg component.Config) (output []byte, configErr, err error) {
	ctx := context.Background()
	switch q.Signal {
	case "traces":
		next, _ := consumer.NewTraces(func(_ context.Context, left ptrace.Traces) (err error) {
			output, err = (&ptrace.ProtoMarshaler{}).MarshalTraces(left)
			return err
		})
		p, err := factory.CreateTraces(ctx, settings, cfg, next)
		if err != nil {
			return nil, err, nil
		}
		request, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(q.Input)
		if err == nil {
			err = p.ConsumeTraces(ctx, request)
		}
		return output, nil, err
	case "metrics":
		next, _ := consumer.NewMetrics(func(_ context.Context, left pmetric.Metrics) (err error) {
			output, err = (&pmetric.ProtoMarshaler{}).MarshalMetrics(left)
			return err
		})
		p, err := factory.CreateMetrics(ctx, settings, cfg, next)
		if err != nil {
			return nil, err, nil
		}
		request, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(q.Input)
		if err == nil {
			err = p.ConsumeMetrics(ctx, request)
		}
		return output, nil, err
	default:
		next, _ := consumer.NewLogs(func(_ context.Context, left plog.Logs) (err error) {
			output, err = (&plog.ProtoMarshaler{}).MarshalLogs(left)
			return err
		})
		p, err := factory.CreateLogs(ctx, settings, cfg, next)
		if err != nil {
			return nil, err, nil
		}
		request, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(q.Input)
		if err == nil {
			err = p.ConsumeLogs(ctx, request)
		}
		return output, nil, err
	}
}

// plain turns JSON numbers into what a YAML file would have given.
func plain(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key, member := range value {
			value[key] = plain(member)
		}
	case []any:
		for i, item := range value {
			value[i] = plain(item)
		}
	case json.Number:
		if integer, err := value.Int64(); err == nil {
			return int(integer)
		}
		double, _ := value.Float64()
		return double
	}
	return value
}
