//! Pushes a second and allocations a push: the body of a request to the values that are committed.

#![expect(
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "a bench measures and prints rates"
)]

use codecs::{Book, Profile};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use model::{Catalogue, DeviceKey, Timestamp};
use nbiot::{Platform, Subject, fuzzed};
use std::hint::black_box;

/// Pushes in one measurement.
const PUSHES: usize = 1_000;

const SMOKE: &str = r#"{"upPacketSN":-1,"upDataSN":-1,"topic":"v1/up/ad19prof","timestamp":1772323200277,"tenantId":"10461180","serviceId":"","protocol":"lwm2m","productId":"15014772","payload":{"serviceId":"notification","serviceData":{"TData":30,"SNR":1,"RSRP":114,"CSQ":5,"Battery_Level":100,"Alarm_Status":2}},"messageType":"dataReport","deviceId":"acf7baaee65e431eadfb8f5fe50e8b81","IMEI":"860374051096202"}"#;
const FRAME: &str = r#"{"timestamp":1772323200277,"payload":{"APPdata":"pVoAAC1TSEdTMjYwMzAwMDGKugEsAAMAAQAUACMAEmmjgYAAGQAWABKoxVWq"},"messageType":"dataReport","deviceId":"acf7baaee65e431eadfb8f5fe50e8b81","IMEI":"860374051096202"}"#;
const OCEAN: &str = r#"{"notifyType":"deviceDataChanged","deviceId":"e917e013-044b-4f32-8b53-588ef68c185a","service":{"serviceType":"Report","eventTime":"20260301T000000Z","serviceId":"Report","data":{"Alarm_Status":0,"Battery_Level":100,"RSRP":12}}}"#;
const POINT: &str = r#"{"imei":"865820060031939","type":1,"dev_id":2016690,"ds_id":"Battery_Level","at":1772323200277,"value":42}"#;

fn book() -> Book {
    let profile = r#"{"codec":"json","values":{"battery_pct":{"at":"/Battery_Level"},"signal_dbm":{"at":"/RSRP","scale":-1},
        "smoke_alarm":{"at":"/Alarm_Status","words":{"2":1},"otherwise":0}}}"#;
    let profile: Profile = serde_json::from_str(profile).expect("it is read");
    Book::new(&Catalogue::built_in(), [("smoke", &profile)]).expect("it is right")
}

fn take(platform: &Platform, body: &str, profile: Option<&str>, desk: &(Catalogue, Book)) -> usize {
    let (catalogue, book) = desk;
    let mut values = 0;
    for _ in 0..PUSHES {
        for report in platform.read(body.as_bytes()).expect("it is a push") {
            let subject = Subject {
                key: DeviceKey(1),
                profile,
                terminal: None,
            };
            let now = Timestamp::from_millis(1_772_323_500_000);
            let decoded = report.take(catalogue, book, subject, now);
            values += black_box(decoded).observations.len();
        }
    }
    values
}

fn pushes(c: &mut Criterion) {
    let desk = (Catalogue::built_in(), book());
    let onenet = fuzzed::signed().expect("there is a token");
    let point = fuzzed::push_of(POINT).expect("there is a token");
    let batch = format!("[{}]", vec![POINT; 20].join(","));
    let batch = fuzzed::push_of(&batch).expect("there is a token");
    let smoke = Some("smoke");
    let mut group = c.benchmark_group("push");
    group.throughput(Throughput::Elements(PUSHES as u64));
    for (name, platform, body, profile) in [
        (
            "ctwing, three of six values",
            &Platform::Ctwing,
            SMOKE,
            smoke,
        ),
        (
            "ctwing, a raw pressure frame",
            &Platform::Ctwing,
            FRAME,
            None,
        ),
        (
            "oceanconnect, three values",
            &Platform::Oceanconnect,
            OCEAN,
            smoke,
        ),
        ("onenet, one signed value", &onenet, point.as_str(), smoke),
        ("onenet, 20 signed values", &onenet, batch.as_str(), smoke),
    ] {
        let values = take(platform, body, profile, &desk);
        assert!(values >= PUSHES, "{name}: {values}");
        let counted = allocation_counter::measure(|| {
            black_box(take(platform, body, profile, &desk));
        });
        let allocations = counted.count_total as f64 / PUSHES as f64;
        let bytes = counted.bytes_total as f64 / PUSHES as f64;
        println!("{name}: {allocations:.1} allocations and {bytes:.0} bytes a push");
        group.bench_function(name, |b| b.iter(|| take(platform, body, profile, &desk)));
    }
    group.finish();
}

criterion_group!(benches, pushes);
criterion_main!(benches);
