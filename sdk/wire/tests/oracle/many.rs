//! Metrics with very many data fields, which protobuf joins or replaces: whoever looked at the others for each of them
//! would be at it for hours.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message;
use sluice_wire::{Columns, EditPlan, EditValue, Entities, Field, Level, Projection, Signal, splice, split, validate};

const MANY: usize = 1 << 17;

/// A field with a length: its key, and what is in it.
fn field(key: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![key];
    prost::encoding::encode_varint(content.len() as u64, &mut bytes);
    bytes.extend_from_slice(content);
    bytes
}

/// A request of one metric with this data.
fn request(data: &[u8]) -> Vec<u8> {
    let metric = [field(0x0a, b"requests"), data.to_vec(), field(0x1a, b"1")].concat();
    field(0x0a, &field(0x12, &field(0x12, &metric)))
}

/// Points of the only metric, as prost sees them.
fn points(bytes: &[u8]) -> usize {
    let request = ExportMetricsServiceRequest::decode(bytes).unwrap();
    let metrics = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    let data = metrics.flat_map(|scope| &scope.metrics).map(|metric| metric.data.as_ref());
    data.map(|data| match data {
        Some(Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(Data::Sum(sum)) => sum.data_points.len(),
        _ => 0,
    })
    .sum()
}

#[test]
fn very_many_data_fields_of_a_metric_take_one_look_each() {
    let point = field(0x0a, &[0x40, 1]);
    let (gauge, sum) = (field(0x2a, &point), field(0x3a, &[point.clone(), vec![0x10, 2]].concat()));
    let cases = [
        field(0x2a, b"").repeat(MANY),
        gauge.repeat(MANY),
        [gauge.repeat(MANY), sum.repeat(MANY)].concat(),
        [gauge.clone(), sum.clone()].concat().repeat(MANY),
        [sum.repeat(MANY), gauge.repeat(2)].concat(),
    ];
    for (case, data) in cases.iter().enumerate() {
        let bytes = request(data);
        let records = points(&bytes);
        let summary = validate(Signal::Metrics, &bytes).unwrap();
        assert_eq!(summary.records as usize, records, "case {case}");

        let mut columns = Columns::new();
        columns.extract(&Projection::new(Signal::Metrics, &[], None).unwrap(), &bytes);
        assert_eq!(columns.rows(), records, "case {case}");

        let mut plan = EditPlan::new(&columns);
        let mut keep = vec![u64::MAX; records.div_ceil(64)];
        keep.first_mut().into_iter().for_each(|word| *word &= !1);
        plan.keep(&keep).unwrap();
        plan.set(&Field::attribute(Level::Record, "a"), Entities::All, EditValue::S64(1)).unwrap();
        let spliced: usize = splice(&bytes, &columns, &plan).iter().map(|part| points(&part.bytes)).sum();
        assert_eq!(spliced, records.saturating_sub(1), "case {case}");

        let pieces = split(Signal::Metrics, &bytes, 1_000, 0);
        assert!(pieces.iter().all(|piece| points(&piece.bytes) == piece.records as usize), "case {case}");
        // What they repeat has a bound: then the rest is one piece.
        let size: usize = pieces.iter().map(|piece| piece.bytes.len()).sum();
        assert!(size < 7 * bytes.len() + (64 << 20), "case {case}: {} bytes became {size}", bytes.len());
        assert_eq!(pieces.iter().map(|piece| piece.records as usize).sum::<usize>(), records, "case {case}");
    }
}

#[test]
fn pieces_of_a_large_resource_have_a_bound_together_and_keep_their_limits_until_then() {
    let resource =
        field(0x0a, &field(0x0a, &[field(0x0a, b"k"), field(0x12, &field(0x0a, &[b'x'; 100_000]))].concat()));
    let request = |logs: usize| field(0x0a, &[resource.clone(), field(0x12, &field(0x12, b"").repeat(logs))].concat());
    for (logs, max_records, max_bytes, within) in
        [(1_000, 10, 0, true), (20_000, 10, 0, false), (1_000, 0, 100_500, true), (20_000, 0, 100_080, false)]
    {
        let bytes = request(logs);
        let pieces = split(Signal::Logs, &bytes, max_records, max_bytes);
        let case = format!("{logs} by {max_records} and {max_bytes}");
        assert_eq!(pieces.iter().map(|piece| piece.records as usize).sum::<usize>(), logs, "{case}");
        let size: usize = pieces.iter().map(|piece| piece.bytes.len()).sum();
        assert!(size < 7 * bytes.len() + (64 << 20), "{case}: {} bytes became {size}", bytes.len());
        let keeps = |piece: &sluice_wire::Piece<'_>| {
            (max_records == 0 || piece.records as usize <= max_records)
                && (max_bytes == 0 || piece.bytes.len() <= max_bytes)
        };
        let (last, others) = pieces.split_last().unwrap();
        assert!(others.iter().all(keeps), "{case}");
        assert_eq!(keeps(last), within, "{case}");
    }
}
