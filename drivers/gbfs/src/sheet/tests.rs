//! What is said again, and at which time.

use super::{Book, Metrics, Sheet};
use crate::Gbfs;
use crate::feed::Station;
use model::{Catalogue, Timestamp};
use sdk::Driver as _;
use sdk::testkit::Kit;
use std::sync::Arc;

fn second(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_772_323_200_000).plus_s(seconds)
}

#[test]
fn a_station_is_told_when_it_moves_at_its_own_time_or_at_that_of_the_feed() {
    let mut kit = Kit::new(&[r#"{"id":"s1","kind":"bike_fence","identities":{"gbfs":"op/86"}}"#]);
    let mut catalogue = Catalogue::built_in();
    catalogue.extend(&Gbfs::metrics()).unwrap();
    kit.cx.catalogue = Arc::new(catalogue);
    let metrics = Metrics::of(&kit.cx.catalogue).unwrap();
    let mut book = Book::default();
    // Bikes, own time, time of the feed; then when it is told.
    for (bikes, own, feed, told) in [
        (3.0, 10, 20, Some(10)),
        (3.0, 10, 30, None),
        (4.0, 10, 40, Some(40)),
        // An instant holds one value.
        (5.0, 10, 40, None),
        (5.0, 50, 60, Some(50)),
    ] {
        let station = Station {
            id: "86".to_owned(),
            vehicles_available: Some(bikes),
            last_reported: Some(second(own)),
            ..Station::default()
        };
        let mut sheet = Sheet::new(&kit.cx, &metrics, &mut book, "op");
        sheet.stations(&[station], second(feed));
        let at = sheet.told.first().map(|(_, told)| told.at);
        assert_eq!(at, told.map(second), "{bikes} bikes, {own}, {feed}");
        let said = std::mem::take(&mut sheet.told);
        book.told.extend(said);
    }
}
