"""Sends traces, metrics and logs with OpenTelemetry's own SDK and prints what it sent, as JSON.

usage: otel_sdk.py grpc|http|json ENDPOINT COUNT
"""
import importlib
import json
import logging
import sys

from opentelemetry import metrics, trace
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

protocol, endpoint, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
package = "opentelemetry.exporter.otlp." + {"grpc": "proto.grpc", "http": "proto.http", "json": "json.http"}[protocol]
exporters = []
for module, kind, path in (
    ("trace_exporter", "OTLPSpanExporter", "traces"),
    ("metric_exporter", "OTLPMetricExporter", "metrics"),
    ("_log_exporter", "OTLPLogExporter", "logs"),
):
    exporter = getattr(importlib.import_module(f"{package}.{module}"), kind)
    if protocol == "grpc":
        exporters.append(exporter(endpoint=endpoint, insecure=True))
    else:
        exporters.append(exporter(endpoint=f"{endpoint}/v1/{path}"))
span_exporter, metric_exporter, log_exporter = exporters

resource = Resource.create({"service.name": "shop", "tenant": "acme", "numbers": [1, 2]})
sent = {"spans": {}, "logs": [], "counter": 0}

traces = TracerProvider(resource=resource)
traces.add_span_processor(BatchSpanProcessor(span_exporter, max_queue_size=count * 2 + 1000))
tracer = traces.get_tracer("sdk-test", "1.0")
for number in range(count):
    with tracer.start_as_current_span(f"parent-{number}", attributes={"n": number, "half": number / 2, "odd": number % 2 == 1}) as parent:
        parent.add_event("seen", {"text": "grüße"})
        with tracer.start_as_current_span("child") as child:
            ids = child.get_span_context()
            sent["spans"][f"{ids.span_id:016x}"] = {
                "trace": f"{ids.trace_id:032x}", "parent": f"{parent.get_span_context().span_id:016x}", "name": "child",
            }
        ids = parent.get_span_context()
        sent["spans"][f"{ids.span_id:016x}"] = {"trace": f"{ids.trace_id:032x}", "parent": "", "name": f"parent-{number}", "n": number}

meters = MeterProvider(resource=resource, metric_readers=[PeriodicExportingMetricReader(metric_exporter, export_interval_millis=3_600_000)])
meter = meters.get_meter("sdk-test")
counter = meter.create_counter("orders", unit="{order}")
histogram = meter.create_histogram("duration", unit="s")
for number in range(count):
    counter.add(number, {"kind": "web"})
    histogram.record(number / 10)
    sent["counter"] += number

logs = LoggerProvider(resource=resource)
logs.add_log_record_processor(BatchLogRecordProcessor(log_exporter, max_queue_size=count + 1000))
logger = logging.getLogger("shop")
logger.setLevel(logging.INFO)
logger.addHandler(LoggingHandler(logger_provider=logs))
for number in range(count):
    logger.info("order %d", number)
    sent["logs"].append(f"order {number}")

for provider in (traces, meters, logs):
    provider.shutdown()
print(json.dumps(sent))
