//! Everything that was received, in the order in which it was.

use crate::kit::{DAY, Rig, START, at, number};
use model::Reading;

fn order(reading: &Reading) -> (i64, u32, u16, i64) {
    (
        reading.received_at.millis(),
        reading.series.device.0,
        reading.series.metric.0,
        reading.observed_at.millis(),
    )
}

/// Days of data with stragglers, sealed as they came, some merged, the rest in memory.
fn filled(rig: &mut Rig) -> Vec<(i64, u32, u16, i64)> {
    let mut expected = Vec::new();
    for hour in 0..60i64 {
        let stamp = START + hour * 3_600_000;
        let mut group = rig.begin(stamp);
        for device in [3, 1, 2] {
            let straggler = START + hour * 1000;
            let readings = [
                number(device, 1, stamp - 50, 90.0),
                number(device, 0, stamp - 50, 300.0),
                number(device, 0, straggler, 299.0),
            ];
            for (reading, admission) in readings.iter().zip(rig.part(&mut group, &readings)) {
                if admission == store::Admission::New {
                    let metric = reading.series.metric.0;
                    expected.push((stamp, device, metric, reading.observed_at.millis()));
                }
            }
        }
        rig.journal.commit(group).unwrap();
        if hour % 7 == 6 {
            rig.seal();
        }
    }
    rig.tick(START + 2 * DAY);
    rig.tick(START + 2 * DAY);
    expected.sort_unstable();
    expected
}

#[test]
fn replay_is_in_the_order_of_arrival_whatever_lies_where() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    let expected = filled(&mut rig);
    let all = rig.reader.replay(at(0), at(i64::MAX)).unwrap();
    let replayed: Vec<_> = all
        .flat_map(Result::unwrap)
        .map(|reading| order(&reading))
        .collect();
    assert_eq!(replayed, expected);

    let (from, to) = (START + 20 * 3_600_000, START + 40 * 3_600_000);
    let some = rig.reader.replay(at(from), at(to)).unwrap();
    let replayed: Vec<_> = some
        .flat_map(Result::unwrap)
        .map(|reading| order(&reading))
        .collect();
    let wanted = expected.iter().filter(|key| (from..to).contains(&key.0));
    assert_eq!(replayed, wanted.copied().collect::<Vec<_>>());
}

#[test]
fn live_readings_go_on_from_where_they_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    for n in 0..5 {
        rig.put(
            START + n,
            &[number(1, 0, START + n, 1.0), number(1, 1, START + n, 2.0)],
        );
    }
    let first = rig.reader.live(0, 3).unwrap();
    assert_eq!((first.commit, first.readings.len()), (2, 4));
    let second = rig.reader.live(first.commit, 100).unwrap();
    assert_eq!((second.commit, second.readings.len()), (5, 6));
    let nothing = rig.reader.live(5, 100).unwrap();
    assert_eq!((nothing.commit, nothing.readings.len()), (5, 0));
}
