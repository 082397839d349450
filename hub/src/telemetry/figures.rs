//! The page of figures as OTLP has them: the same names, so that a query finds them either way.

use super::{scope, text};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use web::{Counted, FigureKind, FigureRow, Measured, Number, Page, Sample};

/// Writes the request that carries a page. Some counters go on after a restart, so none says since when
/// it counts; a collector sees a new beginning by the value.
pub(super) fn encode(page: &Page, resource: &Resource, now_ns: u64) -> Vec<u8> {
    let metrics = page
        .figures()
        .map(|(row, samples)| metric(row, samples, now_ns));
    let scope_metrics = ScopeMetrics {
        scope: Some(scope()),
        metrics: metrics.collect(),
        ..ScopeMetrics::default()
    };
    let resource_metrics = ResourceMetrics {
        resource: Some(resource.clone()),
        scope_metrics: vec![scope_metrics],
        ..ResourceMetrics::default()
    };
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![resource_metrics],
    };
    request.encode_to_vec()
}

fn metric(row: &FigureRow, samples: &[Sample], now_ns: u64) -> Metric {
    let cumulative = AggregationTemporality::Cumulative.into();
    let points = || samples.iter().filter_map(|sample| point(sample, now_ns));
    let data = match row.kind {
        FigureKind::Counter => Data::Sum(Sum {
            data_points: points().collect(),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        FigureKind::Gauge | FigureKind::Info => Data::Gauge(Gauge {
            data_points: points().collect(),
        }),
        FigureKind::Histogram => Data::Histogram(Histogram {
            data_points: samples
                .iter()
                .filter_map(|sample| classes(sample, now_ns))
                .collect(),
            aggregation_temporality: cumulative,
        }),
    };
    Metric {
        name: row.name.clone(),
        description: row.en.clone(),
        unit: unit(&row.unit).to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

/// Units as OpenTelemetry writes them (UCUM).
fn unit(unit: &str) -> &'static str {
    match unit {
        "seconds" => "s",
        "bytes" => "By",
        _ => "1",
    }
}

fn attributes(sample: &Sample) -> Vec<KeyValue> {
    let labels = sample.labels.iter();
    labels.map(|(label, value)| text(label, value)).collect()
}

fn point(sample: &Sample, now_ns: u64) -> Option<NumberDataPoint> {
    let Measured::Number(number) = sample.measured else {
        return None;
    };
    let value = match number {
        Number::Whole(value) => Value::AsInt(value),
        Number::Real(value) => Value::AsDouble(value),
    };
    Some(NumberDataPoint {
        attributes: attributes(sample),
        time_unix_nano: now_ns,
        value: Some(value),
        ..NumberDataPoint::default()
    })
}

fn classes(sample: &Sample, now_ns: u64) -> Option<HistogramDataPoint> {
    let Measured::Counted(Counted {
        bounds,
        counts,
        sum,
    }) = &sample.measured
    else {
        return None;
    };
    Some(HistogramDataPoint {
        attributes: attributes(sample),
        time_unix_nano: now_ns,
        count: counts.iter().sum(),
        sum: Some(*sum),
        bucket_counts: counts.clone(),
        explicit_bounds: bounds.to_vec(),
        ..HistogramDataPoint::default()
    })
}
