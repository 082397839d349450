//! Devices that send faster than they may, as ledger and feed show them.

use super::*;
use crate::config::{DeviceLimits, LimitsConfig};
use serde_json::Value as Json;

impl Rig {
    fn bulk(&self, values: u32) -> Submission {
        Submission {
            parts: vec![Part {
                device: self.published.devices.find("gas-1").unwrap().key,
                received: values,
                observations: vec![],
                rejected: vec![],
            }],
            quarantined: vec![],
        }
    }

    fn rates(&self) -> Vec<Json> {
        let of_rates = EventFilter {
            kinds: vec!["cityhub.rate".to_owned()],
            ..EventFilter::default()
        };
        let events = self.reader.events(0, 1_000, &of_rates).unwrap();
        let parse = |event: &model::Event| serde_json::from_str(&event.json).unwrap();
        events.iter().map(parse).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_mad_device_sends_is_one_fact_and_one_sum() {
    let folder = tempfile::tempdir().unwrap();
    let rig = start(
        folder.path(),
        Clock::starting_at(Timestamp::from_millis(1_763_700_000_000)),
    );
    rig.register().await;
    // Its 100,000 values at once, and 10,000 that are more than 5 s ahead of 1,000 a second.
    let _proof = rig.ingest.commit(rig.bulk(110_000)).await.unwrap();
    for _ in 0..7 {
        let refused = rig.ingest.commit(rig.bulk(3)).await.unwrap_err();
        assert_eq!(refused, sdk::IngestError::TooFast { retry_after_s: 11 });
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let ledger = rig.reader.ledger(None, None).unwrap();
    let own = &ledger.devices[&rig.published.devices.find("gas-1").unwrap().key];
    assert_eq!(own.received, 110_021);
    assert_eq!(own.rejected["rate_limited"], 21);
    let told = rig.rates();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["type"], "cityhub.rate.exceeded");
    assert_eq!(told[0]["subject"], "gas-1");
    assert_eq!(told[0]["data"]["limit_per_s"], 1_000);
    tokio::time::sleep(Duration::from_secs(120)).await;
    let told = rig.rates();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[1]["type"], "cityhub.rate.recovered");
    assert_eq!(told[1]["data"]["rejected"], 21);
    rig.stop().await;
}

#[test]
fn a_day_of_a_reading_a_second_is_no_flood_and_limits_can_be_lifted() {
    let limits = LimitsConfig::default();
    assert!(limits.device().unwrap().burst >= 86_400);
    let own = DeviceLimits {
        values_per_s: 0,
        burst: None,
    };
    let lifted = LimitsConfig {
        devices: [("gw-31".to_owned(), own)].into(),
        ..limits
    };
    assert_eq!(lifted.own()["gw-31"], None);
}
