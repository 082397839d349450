//! What a profile may say.

use super::{Book, Profile, Sender};
use crate::{Decoded, Undecodable};
use model::{Catalogue, DeviceKey, Timestamp};
use serde_json::{Value, json};

/// 2026-03-01T00:05:00Z.
pub(crate) const ARRIVAL: Timestamp = Timestamp::from_millis(1_772_323_500_000);

pub(crate) fn book(profile: Value) -> Result<Book, String> {
    let profile: Profile = serde_json::from_value(profile).map_err(|error| error.to_string())?;
    Book::new(&Catalogue::built_in(), [("p", &profile)])
}

fn sender(profile: Option<&str>) -> Sender<'_> {
    Sender {
        profile,
        arrival: ARRIVAL,
    }
}

/// Decodes a payload of a device that has this profile.
pub(crate) fn decode(profile: Value, payload: &[u8]) -> (Decoded, Result<(), Undecodable>) {
    let mut out = Decoded::new(DeviceKey(1));
    let catalogue = Catalogue::built_in();
    let book = book(profile).unwrap();
    let done = book.decode_into(&catalogue, sender(Some("p")), payload, &mut out);
    (out, done)
}

/// Names each observation: metric, number, milliseconds.
pub(crate) fn seen(decoded: &Decoded) -> Vec<(String, f64, Option<i64>)> {
    let catalogue = Catalogue::built_in();
    let row = |of: &model::Observation| {
        let name = catalogue.def(of.metric).unwrap().name.clone();
        let number = of.value.as_number().unwrap_or(f64::NAN);
        (name, number, of.observed_at.map(|at| at.millis()))
    };
    decoded.observations.iter().map(row).collect()
}

#[test]
fn a_profile_that_cannot_be_used_is_told_with_its_key() {
    let wrong = [
        (
            json!({"codec":"json","values":{"pm10":{"at":"/a"}}}),
            "profiles.p.values.pm10: the metric catalogue has no such metric",
        ),
        (
            json!({"codec":"json","values":{"pm10_ugm3":{}}}),
            "profiles.p.values.pm10_ugm3: needs `at`, and neither lon nor lat",
        ),
        (
            json!({"codec":"json","values":{"position":{"at":"/a"}}}),
            "profiles.p.values.position: needs `lon` and `lat`, and no `at`",
        ),
        (
            json!({"codec":"json","values":{"pm10_ugm3":{"at":"/a","scale":0.0}}}),
            "profiles.p.values.pm10_ugm3: scale must be a number other than 0, and offset a number",
        ),
        (
            json!({"codec":"json","values":{"position":{"lon":"x","lat":"/y"}}}),
            "profiles.p.values.position: `x` is no JSON pointer (RFC 6901): it starts with `/`",
        ),
        (
            json!({"codec":"senml","values":{"position":{"name":"x"}}}),
            "profiles.p.values.position: needs the names `lon` and `lat`, and no `name`",
        ),
        (
            json!({"codec":"sparkplug_b","values":{"pm10_ugm3":{"name":"a","sum":true}}}),
            "profiles.p.values.pm10_ugm3: sum is SenML's",
        ),
        (
            json!({"codec":"json","time":"ts"}),
            "`ts` is no JSON pointer (RFC 6901): it starts with `/`",
        ),
    ];
    for (profile, told) in wrong {
        assert_eq!(book(profile).unwrap_err(), told);
    }
    assert!(book(json!({"codec":"json","script":"x"})).is_err());
}

#[test]
fn a_device_without_a_profile_writes_the_hubs_own_json() {
    let mut out = Decoded::new(DeviceKey(1));
    let payload = br#"{"pressure_kpa":350}"#;
    let catalogue = Catalogue::built_in();
    for profile in [None, Some("of another protocol")] {
        Book::default()
            .decode_into(&catalogue, sender(profile), payload, &mut out)
            .unwrap();
    }
    assert_eq!(out.observations.len(), 2);
}
