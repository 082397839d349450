//! Messages and values a second, and allocations a message, of every payload format: bytes to values.

#![expect(clippy::print_stdout, reason = "a bench prints what it counts")]

use codecs::sparkplug::{Birth, Payload};
use codecs::{Book, Decoded, Profile, Sender, thingsboard};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use model::{Catalogue, DeviceKey, Timestamp};
use serde_json::json;
use std::hint::black_box;

const ARRIVAL: Timestamp = Timestamp::from_millis(1_772_323_500_000);

/// The hub's own JSON of a dust station.
const OWN: &[u8] = br#"{"ts":1772323200000,"values":{"pm10_ugm3":61.5,"pm25_ugm3":33.2,
    "tsp_ugm3":120,"temperature_c":21.5,"humidity_pct":47,"laeq_dba":58.1,"wind_speed_ms":2.1}}"#;

/// The same by a maker's own names.
const MAKER: &[u8] = br#"{"at":"2026-03-01 08:00:00","d":[{"v":"615"},{"v":"332"},{"v":"1200"},
    {"v":"2150"},{"v":"470"},{"v":"581"},{"v":"21"}],"sn":"20260301","sig":"9f3c"}"#;

const SENML: &[u8] = br#"[{"bn":"urn:dev:station-1:","bt":1772323200,"n":"pm10_ugm3","v":61.5},
    {"n":"pm25_ugm3","v":33.2},{"n":"tsp_ugm3","v":120},{"n":"temperature_c","u":"Cel","v":21.5},
    {"n":"humidity_pct","u":"%RH","v":47},{"n":"lon","u":"lon","v":118.1},{"n":"lat","u":"lat","v":24.5}]"#;

const CHIRPSTACK: &[u8] = br#"{"deduplicationId":"838f2b6e","time":"2026-03-01T00:00:00+00:00",
    "deviceInfo":{"devEui":"a840415711866a85","deviceName":"LHT52"},"fCnt":7,"fPort":2,
    "data":"CmQCD3//AWXgqk4=","object":{"temperature_c":26.6,"humidity_pct":52.7},
    "rxInfo":[{"rssi":-103,"snr":1.0},{"rssi":-49,"snr":14.2}]}"#;

const GATEWAY: &[u8] = br#"{"a":[{"ts":1772323200000,"values":{"smoke_alarm":0,"battery_pct":91}}],
    "b":[{"ts":1772323200000,"values":{"smoke_alarm":0,"battery_pct":90}}],
    "c":[{"ts":1772323200000,"values":{"smoke_alarm":1,"battery_pct":12}}]}"#;

/// A birth of four metrics and data by their aliases, as pysparkplug wrote them: two lengths before.
const SPARKPLUG: &[u8] = include_bytes!("../../../tests/corpus/sparkplug/aliases");

fn book(catalogue: &Catalogue) -> Book {
    let at = |index: u8, scale: f64| json!({"at": format!("/d/{index}/v"), "scale": scale});
    let named = |name: &str| json!({"name": name});
    let tables = [
        ("plain", json!({"codec": "json"})),
        (
            "maker",
            json!({"codec": "json", "time": "/at", "values": {
            "pm10_ugm3": at(0, 0.1), "pm25_ugm3": at(1, 0.1), "tsp_ugm3": at(2, 0.1),
            "temperature_c": at(3, 0.01), "humidity_pct": at(4, 0.1),
            "laeq_dba": at(5, 0.1), "wind_speed_ms": at(6, 0.1)}}),
        ),
        ("senml", json!({"codec": "senml"})),
        ("chirpstack", json!({"codec": "chirpstack_v4"})),
        (
            "sparkplug",
            json!({"codec": "sparkplug_b", "values": {
            "pressure_kpa": {"name": "Inputs/P", "scale": 0.001},
            "temperature_c": named("temperature_c"),
            "position": {"lon": "GPS/Lon", "lat": "GPS/Lat"}}}),
        ),
    ];
    let profiles: Vec<(&str, Profile)> = tables
        .into_iter()
        .map(|(name, table)| (name, serde_json::from_value(table).expect("it is one")))
        .collect();
    let named = profiles.iter().map(|(name, profile)| (*name, profile));
    Book::new(catalogue, named).expect("its metrics are built in")
}

/// Takes one message, and tells how many values it gave.
type Take<'a> = Box<dyn FnMut() -> usize + 'a>;

fn of_device<'a>(
    book: &'a Book,
    catalogue: &'a Catalogue,
    profile: Option<&'a str>,
    payload: &'a [u8],
) -> Take<'a> {
    let arrival = ARRIVAL;
    Box::new(move || {
        let mut out = Decoded::new(DeviceKey(1));
        let sender = Sender { profile, arrival };
        let done = book.decode_into(catalogue, sender, black_box(payload), &mut out);
        done.expect("it is a message");
        out.observations.len()
    })
}

fn payloads(c: &mut Criterion) {
    let catalogue = Catalogue::built_in();
    let book = book(&catalogue);
    let (length, rest) = SPARKPLUG.split_first_chunk::<2>().expect("it has a head");
    let (birth, data) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
    let birth = Birth::of(&Payload::read(birth).expect("it is a birth"));
    let of = |profile, payload| of_device(&book, &catalogue, profile, payload);
    let gateway: Take<'_> = Box::new(|| {
        let mut resolve = |_: &str| Some((DeviceKey(1), None));
        let at = (&catalogue, ARRIVAL);
        let parts = thingsboard::decode_gateway(&book, at, black_box(GATEWAY), &mut resolve);
        let parts = parts.expect("it is a message");
        parts.iter().map(|part| part.observations.len()).sum()
    });
    let sparkplug: Take<'_> = Box::new(|| {
        let message = Payload::read(black_box(data)).expect("it is a message");
        let mut out = Decoded::new(DeviceKey(1));
        book.take_sparkplug(
            &catalogue,
            Some("sparkplug"),
            (&message, Some(&birth)),
            &mut out,
        );
        out.observations.len()
    });
    let takes: [(&str, Take<'_>); 7] = [
        ("own json", of(None, OWN)),
        ("json without a table", of(Some("plain"), OWN)),
        ("json by pointers", of(Some("maker"), MAKER)),
        ("senml", of(Some("senml"), SENML)),
        ("chirpstack", of(Some("chirpstack"), CHIRPSTACK)),
        ("thingsboard gateway", gateway),
        ("sparkplug by alias", sparkplug),
    ];
    let mut group = c.benchmark_group("payloads");
    for (name, mut take) in takes {
        let values = take();
        let counted = allocation_counter::measure(|| {
            black_box(take());
        });
        let (allocations, bytes) = (counted.count_total, counted.bytes_total);
        println!("{name}: {values} values, {allocations} allocations and {bytes} bytes a message");
        assert!(values > 0, "{name}");
        group.throughput(Throughput::Elements(u64::try_from(values).unwrap_or(0)));
        group.bench_function(name, |b| b.iter(&mut take));
    }
    group.finish();
}

criterion_group!(benches, payloads);
criterion_main!(benches);
