package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/xconfmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"
)

// question is one line of the input. The request is OTLP protobuf in hex.
type question struct {
	Processor component.ID   `json:"processor"`
	Signal    string         `json:"signal"`
	Config    map[string]any `json:"config"`
	Request   string         `json:"request"`
}

// answer is one line of the output: the request that comes out, empty if none does, or what is said against the
// configuration or the request.
type answer struct {
	ConfigError string `json:"config_error,omitempty"`
	Error       string `json:"error,omitempty"`
	Request     string `json:"request"`
}

// askCommand makes the subcommand by which the plugins' recorded cases are made.
func askCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "ask",
		Short: "Answers, line by line, what a processor makes of a configuration and a request",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return answerAll(command.InOrStdin(), command.OutOrStdout())
		},
	}
}

func answerAll(in io.Reader, out io.Writer) error {
	known, err := factories()
	if err != nil {
		return err
	}
	questions, answers := json.NewDecoder(in), json.NewEncoder(out)
	questions.UseNumber()
	for {
		var q question
		if err := questions.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		factory, ok := known.Processors[q.Processor.Type()]
		if !ok {
			return fmt.Errorf("no processor %q", q.Processor)
		}
		if err := answers.Encode(ask(factory, q)); err != nil {
			return err
		}
	}
}

func ask(factory processor.Factory, q question) answer {
	request, err := hex.DecodeString(q.Request)
	if err != nil {
		return answer{Error: err.Error()}
	}
	config := factory.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(plain(q.Config).(map[string]any)).Unmarshal(&config); err != nil {
		return answer{ConfigError: err.Error()}
	}
	if err := xconfmap.Validate(config); err != nil {
		return answer{ConfigError: err.Error()}
	}
	output, configErr, err := process(factory, q.Signal, config, request)
	switch {
	case configErr != nil:
		return answer{ConfigError: configErr.Error()}
	case err != nil:
		return answer{Error: err.Error()}
	}
	return answer{Request: hex.EncodeToString(output)}
}

func process(factory processor.Factory, signal string, config component.Config, input []byte) (output []byte, configErr, err error) {
	ctx := context.Background()
	settings := processor.Settings{
		ID: component.NewID(factory.Type()),
		TelemetrySettings: component.TelemetrySettings{
			Logger:         zap.NewNop(),
			TracerProvider: tracenoop.NewTracerProvider(),
			MeterProvider:  noop.NewMeterProvider(),
		},
	}
	switch signal {
	case "traces":
		next, _ := consumer.NewTraces(func(_ context.Context, left ptrace.Traces) (err error) {
			output, err = (&ptrace.ProtoMarshaler{}).MarshalTraces(left)
			return err
		})
		p, err := factory.CreateTraces(ctx, settings, config, next)
		if err != nil {
			return nil, err, nil
		}
		request, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(input)
		if err == nil {
			err = p.ConsumeTraces(ctx, request)
		}
		return output, nil, err
	case "metrics":
		next, _ := consumer.NewMetrics(func(_ context.Context, left pmetric.Metrics) (err error) {
			output, err = (&pmetric.ProtoMarshaler{}).MarshalMetrics(left)
			return err
		})
		p, err := factory.CreateMetrics(ctx, settings, config, next)
		if err != nil {
			return nil, err, nil
		}
		request, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(input)
		if err == nil {
			err = p.ConsumeMetrics(ctx, request)
		}
		return output, nil, err
	default:
		next, _ := consumer.NewLogs(func(_ context.Context, left plog.Logs) (err error) {
			output, err = (&plog.ProtoMarshaler{}).MarshalLogs(left)
			return err
		})
		p, err := factory.CreateLogs(ctx, settings, config, next)
		if err != nil {
			return nil, err, nil
		}
		request, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(input)
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
