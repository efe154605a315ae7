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

# What the exporters are given, in the order in which they are given it.
given = {"traces": [], "metrics": [], "logs": []}


def watch(exporter, signal):
    export = exporter.export

    def watched(batch, *args, **kwargs):
        given[signal].append(batch)
        return export(batch, *args, **kwargs)

    exporter.export = watched


for exporter, signal in ((span_exporter, "traces"), (metric_exporter, "metrics"), (log_exporter, "logs")):
    watch(exporter, signal)

resource = Resource.create({"service.name": "shop", "tenant": "acme", "numbers": [1, 2]})

traces = TracerProvider(resource=resource)
traces.add_span_processor(BatchSpanProcessor(span_exporter, max_queue_size=count * 2 + 1000))
tracer = traces.get_tracer("sdk-test", "1.0", "https://example.com/schema", {"team": "checkout"})
kinds, before = list(trace.SpanKind), []
for number in range(count):
    attributes = {"n": number, "half": number / 2, "odd": number % 2 == 1}
    links = [trace.Link(context, {"distance": 1}) for context in before]
    with tracer.start_as_current_span(f"parent-{number}", kind=kinds[number % len(kinds)], attributes=attributes, links=links) as parent:
        parent.add_event("seen", {"text": "grüße"})
        with tracer.start_as_current_span("child") as child:
            child.set_status(trace.StatusCode.ERROR, "broken") if number % 2 else child.set_status(trace.StatusCode.OK)
        before = [parent.get_span_context()]

meters = MeterProvider(resource=resource, metric_readers=[PeriodicExportingMetricReader(metric_exporter, export_interval_millis=3_600_000)])
meter = meters.get_meter("sdk-test")
counter = meter.create_counter("orders", unit="{order}", description="Orders by kind")
histogram = meter.create_histogram("duration", unit="s")
for number in range(count):
    counter.add(number, {"kind": "web" if number % 2 else "app"})
    histogram.record(number / 10, {"route": "/pay"})

logs = LoggerProvider(resource=resource)
logs.add_log_record_processor(BatchLogRecordProcessor(log_exporter, max_queue_size=count + 1000))
logger = logging.getLogger("shop")
logger.setLevel(logging.INFO)
logger.addHandler(LoggingHandler(logger_provider=logs))
for number in range(count):
    context = trace.SpanContext(number + 1, number + 2, False, trace.TraceFlags(number % 2))
    with trace.use_span(trace.NonRecordingSpan(context)):
        logger.log(logging.ERROR if number % 3 else logging.INFO, "order %d", number, extra={"order": number, "price": number / 4})

for provider in (traces, meters, logs):
    provider.shutdown()


def value(of):
    match of:
        case bool():
            return {"boolValue": of}
        case int():
            return {"intValue": str(of)}
        case float():
            return {"doubleValue": of}
        case str():
            return {"stringValue": of}
        case _:
            return {"arrayValue": {"values": [value(one) for one in of]}}


def pairs(attributes):
    return [{"key": key, "value": value(of)} for key, of in (attributes or {}).items()]


def set_fields(**fields):
    """OTLP/JSON leaves out what has its default value."""
    return {name: of for name, of in fields.items() if of not in (None, "", 0, "0", "0" * 16, "0" * 32, [])}


def flags(context):
    """Bits 8 and 9 of a span's flags: it is known whether the context is remote, and whether it is."""
    return 0x300 if context and context.is_remote else 0x100


def span(of):
    return set_fields(
        traceId=f"{of.context.trace_id:032x}", spanId=f"{of.context.span_id:016x}",
        parentSpanId=f"{of.parent.span_id:016x}" if of.parent else "", flags=flags(of.parent), name=of.name,
        kind=of.kind.value + 1, startTimeUnixNano=str(of.start_time), endTimeUnixNano=str(of.end_time),
        attributes=pairs(of.attributes),
        events=[set_fields(timeUnixNano=str(one.timestamp), name=one.name, attributes=pairs(one.attributes)) for one in of.events],
        links=[
            set_fields(traceId=f"{one.context.trace_id:032x}", spanId=f"{one.context.span_id:016x}",
                       attributes=pairs(one.attributes), flags=flags(one.context))
            for one in of.links
        ],
        status=set_fields(message=of.status.description, code=of.status.status_code.value),
    )


def point(of):
    shared = set_fields(attributes=pairs(of.attributes), startTimeUnixNano=str(of.start_time_unix_nano), timeUnixNano=str(of.time_unix_nano))
    if hasattr(of, "value"):
        return shared | {"asInt": str(of.value)}
    return shared | {
        "count": str(of.count), "sum": of.sum, "min": of.min, "max": of.max,
        "bucketCounts": [str(one) for one in of.bucket_counts], "explicitBounds": list(of.explicit_bounds),
    }


def metric(of):
    data = set_fields(
        dataPoints=[point(one) for one in of.data.data_points], aggregationTemporality=of.data.aggregation_temporality.value,
        isMonotonic=getattr(of.data, "is_monotonic", None),
    )
    return set_fields(name=of.name, description=of.description, unit=of.unit) | {type(of.data).__name__.lower(): data}


def log(of):
    record = of.log_record
    return set_fields(
        timeUnixNano=str(record.timestamp), observedTimeUnixNano=str(record.observed_timestamp),
        severityNumber=record.severity_number.value, severityText=record.severity_text, body=value(record.body),
        attributes=pairs(record.attributes), flags=int(record.trace_flags), traceId=f"{record.trace_id:032x}",
        spanId=f"{record.span_id:016x}", eventName=record.event_name,
    )


def whole(of, scope, record):
    """A record with what it stands in."""
    return {
        "resource": {"attributes": pairs(of.attributes)}, "resourceSchema": of.schema_url or None,
        "scope": set_fields(name=scope.name, version=scope.version, attributes=pairs(scope.attributes)),
        "scopeSchema": scope.schema_url or None, "record": record,
    }


print(json.dumps({
    "traces": [whole(of.resource, of.instrumentation_scope, span(of)) for batch in given["traces"] for of in batch],
    "metrics": [
        whole(resource.resource, scope.scope, metric(of))
        for batch in given["metrics"] for resource in batch.resource_metrics for scope in resource.scope_metrics
        for of in scope.metrics
    ],
    "logs": [whole(of.resource, of.instrumentation_scope, log(of)) for batch in given["logs"] for of in batch],
}))
