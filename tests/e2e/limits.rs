//! What one device, one address and one caller may ask of a hub, and what becomes of more.

use serde_json::json;
use tests::hub::{Place, plain_config, words};

/// 10 values a second and 20 at once for whoever is called `mad`.
const MAD: &str = "[limits.devices.mad]\nvalues_per_s = 10\nburst = 20\n";

#[test]
fn a_mad_device_is_refused_what_cannot_wait_and_told_of_once_while_others_are_taken() {
    let place = Place::with_config(&format!("{}{MAD}", plain_config()));
    let hub = place.start();
    hub.register(&json!([{"id": "mad", "kind": "dust"}, {"id": "calm", "kind": "dust"}]));
    let many: Vec<_> = (0..100).map(|n| json!({"pm10_ugm3": n})).collect();
    let body = serde_json::to_vec(&many).unwrap();
    // All at once, which it pays for with eight seconds.
    assert_eq!(hub.post("mad", &body).status, 204);
    for _ in 0..3 {
        let refused = hub.post("mad", &body);
        let wait: u32 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((6..=9).contains(&wait), "{wait}");
        assert_eq!(
            refused.problem(429)["type"],
            "urn:cityhub:problem:rate_limited"
        );
    }
    hub.store("calm", &json!({"pm10_ugm3": 7}));
    let api = hub.api();
    let begun = tokio::time::Instant::now();
    let row = loop {
        let row = api.get("/api/v1/ledger")["devices"]["mad"].clone();
        if row["rejected"]["rate_limited"] == 300 || begun.elapsed().as_secs() > 20 {
            break row;
        }
        std::thread::yield_now();
    };
    assert_eq!(row["received"], 400);
    assert_eq!(row["stored"], 100);
    assert_eq!(row["rejected"], json!({"rate_limited": 300}));
    let told = api.get("/api/v1/events?after=0&types=cityhub.rate.exceeded")["items"].clone();
    assert_eq!(told.as_array().unwrap().len(), 1, "{told}");
    assert_eq!(told[0]["subject"], "mad");
    let fast = api.get("/api/v1/health")["intake"]["too_fast"].clone();
    assert_eq!(
        (&fast["count"], &fast["devices"][0]["device"]),
        (&json!(1), &json!("mad"))
    );
    drop(hub.stop());
    place.verify();
}

#[test]
fn a_token_that_can_be_guessed_guards_nothing_beyond_this_machine() {
    let text = "[http]\nlisten = \"0.0.0.0:0\"\n[auth.tokens.a]\nrole = \"viewer\"\ntoken = ";
    for weak in [
        "demo-admin-token",
        "aaaaaaaaaaaaaaaaaaaaaaaa",
        "the-secret-of-the-city-0815",
    ] {
        let place = Place::with_config(&format!("{text}\"{weak}\"\n"));
        let checked = place.run(&["check"]);
        assert_eq!(checked.status.code(), Some(2), "{weak}");
        let said = words(&checked);
        assert!(
            said.contains("auth.tokens.a.token") && !said.contains(weak),
            "{said}"
        );
    }
    let place = Place::with_config(&format!("{text}\"9f3c0a7be1d24485c06b\"\n"));
    let checked = place.run(&["check"]);
    assert!(checked.status.success(), "{}", words(&checked));
}
