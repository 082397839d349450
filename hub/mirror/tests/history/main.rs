//! History from a server is what the embedded store says: the same questions to both, with a real
//! `VictoriaMetrics` (Debian's package `victoria-metrics`) on loopback, and a strict fake of `InfluxDB` 2.

#[cfg(feature = "influx")]
#[cfg(test)]
mod flux;
#[cfg(test)]
mod kit;
#[cfg(test)]
mod victoria;
