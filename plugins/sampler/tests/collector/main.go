// Runs the OpenTelemetry Collector's probabilistic_sampler on requests from stdin.
//
// A line is {"config": {...}, "signal": "traces" | "logs", "request": "<OTLP protobuf in hex>"}; the answer is a line with
// the request that comes out in hex, "-" if nothing comes out, or "error: ..." if the configuration is refused.
package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"

	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/probabilisticsamplerprocessor"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/xconfmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"
)

type question struct {
	Config  map[string]any `json:"config"`
	Signal  string         `json:"signal"`
	Request string         `json:"request"`
}

func main() {
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	decoder := json.NewDecoder(lines)
	for decoder.More() {
		var q question
		if err := decoder.Decode(&q); err != nil {
			panic(err)
		}
		answer, err := ask(q)
		switch {
		case err != nil:
			fmt.Fprintf(out, "error: %q\n", err.Error())
		case answer == nil:
			fmt.Fprintln(out, "-")
		default:
			fmt.Fprintln(out, hex.EncodeToString(answer))
		}
	}
}

func ask(q question) ([]byte, error) {
	factory := probabilisticsamplerprocessor.NewFactory()
	config := factory.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(q.Config).Unmarshal(config); err != nil {
		return nil, err
	}
	if err := xconfmap.Validate(config); err != nil {
		return nil, err
	}
	settings := processor.Settings{
		ID: component.NewID(factory.Type()),
		TelemetrySettings: component.TelemetrySettings{
			Logger:         zap.NewNop(),
			TracerProvider: tracenoop.NewTracerProvider(),
			MeterProvider:  noop.NewMeterProvider(),
		},
	}
	request, err := hex.DecodeString(q.Request)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	if q.Signal == "logs" {
		return askLogs(ctx, factory, settings, config, request)
	}
	return askTraces(ctx, factory, settings, config, request)
}

func askTraces(ctx context.Context, factory processor.Factory, settings processor.Settings, config component.Config, request []byte) ([]byte, error) {
	var answer []byte
	next, err := consumer.NewTraces(func(_ context.Context, traces ptrace.Traces) (err error) {
		answer, err = ptraceotlp.NewExportRequestFromTraces(traces).MarshalProto()
		return err
	})
	if err != nil {
		return nil, err
	}
	sampler, err := factory.CreateTraces(ctx, settings, config, next)
	if err != nil {
		return nil, err
	}
	export := ptraceotlp.NewExportRequest()
	if err := export.UnmarshalProto(request); err != nil {
		return nil, err
	}
	err = sampler.ConsumeTraces(ctx, export.Traces())
	return answer, err
}

func askLogs(ctx context.Context, factory processor.Factory, settings processor.Settings, config component.Config, request []byte) ([]byte, error) {
	var answer []byte
	next, err := consumer.NewLogs(func(_ context.Context, logs plog.Logs) (err error) {
		answer, err = plogotlp.NewExportRequestFromLogs(logs).MarshalProto()
		return err
	})
	if err != nil {
		return nil, err
	}
	sampler, err := factory.CreateLogs(ctx, settings, config, next)
	if err != nil {
		return nil, err
	}
	export := plogotlp.NewExportRequest()
	if err := export.UnmarshalProto(request); err != nil {
		return nil, err
	}
	err = sampler.ConsumeLogs(ctx, export.Logs())
	return answer, err
}
