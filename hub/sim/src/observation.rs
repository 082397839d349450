//! What a device measures in one moment, and its two texts: canonical JSON and the ack log.

use std::borrow::Cow;

/// One measured quantity.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Measure {
    /// Printed with so many decimals, so that log and payload are the same text.
    Number { value: f64, decimals: usize },
    Position {
        lon: f64,
        lat: f64,
        accuracy_m: f64,
        locked: bool,
    },
}

/// A metric and what was measured.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Observation {
    pub(crate) metric: Cow<'static, str>,
    pub(crate) measure: Measure,
}

impl Observation {
    pub(crate) fn number(metric: &'static str, value: f64, decimals: usize) -> Self {
        Self {
            metric: metric.into(),
            measure: Measure::Number { value, decimals },
        }
    }
}

/// Writes a measured quantity as JSON.
pub(crate) fn json(measure: &Measure) -> String {
    match measure {
        Measure::Number { value, decimals } => format!("{value:.decimals$}"),
        Measure::Position {
            lon,
            lat,
            accuracy_m,
            locked,
        } => format!(
            "{{\"lon\":{lon:.6},\"lat\":{lat:.6},\"accuracy_m\":{accuracy_m:.1},\"locked\":{locked}}}"
        ),
    }
}

/// Writes the canonical JSON object of one message.
pub(crate) fn payload(ts_ms: i64, observations: &[Observation]) -> String {
    let mut out = format!("{{\"ts\":{ts_ms},\"values\":{{");
    for (index, observation) in observations.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&format!(
            "\"{}\":{}",
            observation.metric,
            json(&observation.measure)
        ));
    }
    out.push_str("}}");
    out
}

/// Writes the line of the ack log: `device,ts_ms,metric=value;metric=value`. A position is its
/// JSON object, which has no semicolon; so split at the first two commas, then at semicolons.
pub(crate) fn log_line(device: &str, ts_ms: i64, observations: &[Observation]) -> String {
    let mut out = format!("{device},{ts_ms},");
    for (index, observation) in observations.iter().enumerate() {
        if index > 0 {
            out.push(';');
        }
        out.push_str(&format!(
            "{}={}",
            observation.metric,
            json(&observation.measure)
        ));
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_and_log_show_the_same_digits() {
        let observations = [
            Observation::number("pressure_kpa", 312.44, 1),
            Observation::number("smoke_alarm", 1.0, 0),
            Observation {
                metric: "position".into(),
                measure: Measure::Position {
                    lon: 118.0894,
                    lat: 24.4798,
                    accuracy_m: 4.26,
                    locked: true,
                },
            },
        ];
        assert_eq!(
            payload(1_763_700_000_000, &observations),
            "{\"ts\":1763700000000,\"values\":{\"pressure_kpa\":312.4,\"smoke_alarm\":1,\
             \"position\":{\"lon\":118.089400,\"lat\":24.479800,\"accuracy_m\":4.3,\"locked\":true}}}"
        );
        assert_eq!(
            log_line("gas-1", 1_763_700_000_000, &observations),
            "gas-1,1763700000000,pressure_kpa=312.4;smoke_alarm=1;\
             position={\"lon\":118.089400,\"lat\":24.479800,\"accuracy_m\":4.3,\"locked\":true}\n"
        );
    }
}
