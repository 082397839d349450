//! The same answers from the embedded store and from a server that speaks Flux, and what becomes of answers that
//! are none. The server is a strict fake: it takes the questions that are ours and no others, and answers with
//! annotated CSV as `InfluxDB` 2 writes it.

mod fake;

use crate::kit::{DAY, Dice, HOUR, MINUTE, NOW, Rig, START, ask, assert_same};
use fake::{Fake, Mode};
use mirror::history::{History, HistoryError};
use store::Agg;

const AGGREGATES: [Agg; 5] = [Agg::Mean, Agg::Min, Agg::Max, Agg::Last, Agg::MinMax];

#[tokio::test]
async fn a_journal_that_was_lost_is_read_back_in_flux() {
    let (mut truth, fresh) = (Rig::new(), Rig::new());
    let mut dice = Dice(42);
    let mut readings = dice.numbers(1, 1_500, 40 * MINUTE);
    readings.extend(dice.numbers(2, 3_000, 2 * MINUTE));
    readings.extend(dice.places(3, 500, HOUR));
    truth.put(NOW, &readings);
    let server = Fake::start(readings);
    let history = History::new(server.setup(), fresh.reader.clone(), None);
    let ranges = [
        (i64::MIN, i64::MAX),
        (START + 3 * DAY + 12_345, START + 21 * DAY + 6_789),
        (START - 700 * DAY, START),
    ];
    for series in [(1, 0), (2, 0), (3, 1)] {
        for range in ranges {
            for limit in [697, 10_000] {
                assert_same(&history, &truth, ask(series, range, None, limit)).await;
            }
            for step_ms in [7 * MINUTE, HOUR + 1, 6 * HOUR] {
                for agg in AGGREGATES {
                    let agg = Some((agg, step_ms));
                    assert_same(&history, &truth, ask(series, range, agg, 900)).await;
                }
            }
        }
    }
    assert_eq!(history.figures().failed, 0);
    assert!(server.refused().is_empty(), "{:?}", server.refused());
}

#[tokio::test]
async fn what_the_server_has_not_got_yet_is_laid_over_what_it_has() {
    let (mut truth, mut here) = (Rig::new(), Rig::new());
    let readings = Dice(7).numbers(1, 2_000, 20 * MINUTE);
    truth.put(NOW, &readings);
    let is_late = |index: usize| index.is_multiple_of(97);
    let numbered = || readings.iter().copied().enumerate();
    let there = numbered().filter(|(index, _)| *index < 1_500 && !is_late(*index));
    let local = numbered().filter(|(index, _)| *index >= 1_450 || is_late(*index));
    let local: Vec<_> = local.map(|(_, reading)| reading).collect();
    let server = Fake::start(there.map(|(_, reading)| reading).collect());
    here.put(NOW, &local);
    let history = History::new(server.setup(), here.reader.clone(), None);
    for agg in AGGREGATES {
        for step_ms in [10 * MINUTE, 2 * HOUR] {
            let range = (START + DAY, START + 60 * DAY);
            let agg = Some((agg, step_ms));
            assert_same(&history, &truth, ask((1, 0), range, agg, 700)).await;
        }
    }
    assert_same(&history, &truth, ask((1, 0), (0, i64::MAX), None, 701)).await;
}

#[tokio::test]
async fn what_is_no_answer_is_said_and_never_taken_for_an_empty_one() {
    let mut here = Rig::new();
    let readings = Dice(3).numbers(1, 50, HOUR);
    here.put(NOW, &readings);
    let server = Fake::start(Vec::new());
    let history = History::new(server.setup(), here.reader.clone(), None);
    let range = ask((1, 0), (START - DAY, i64::MAX), None, 10_000);
    for (mode, expected) in [
        (Mode::Status(401), "unauthorized access"),
        (Mode::Status(429), "HTTP 429"),
        (Mode::Status(503), "HTTP 503"),
        (Mode::Text(NULL_NUMBER), "cannot be read"),
        (Mode::Text(NO_NUMBER), "cannot be read"),
        (Mode::Text(ERROR_TABLE), "failed to initialize"),
        (Mode::Text(LATE_ERROR), "number of columns"),
        (Mode::Text("<html>\r\n<a,b>\r\n"), "annotations not found"),
        (Mode::Text(SOMETHING_ELSE), "a row of something else"),
    ] {
        server.answer(mode);
        let found = history.page(range.clone()).await.unwrap();
        assert_eq!(found.page, here.answer(&range), "{mode:?}");
        let missing = found.missing.expect("it was no answer");
        assert!(missing.reason.contains(expected), "{}", missing.reason);
    }
    let before = ask((1, 0), (START - DAY, START), Some((Agg::Mean, DAY)), 10);
    let refused = history.page(before).await;
    assert!(
        matches!(refused, Err(HistoryError::Unavailable(_))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn tables_that_follow_one_another_are_all_read() {
    let fresh = Rig::new();
    let server = Fake::start(Vec::new());
    server.answer(Mode::Text(TWO_BLOCKS));
    let history = History::new(server.setup(), fresh.reader.clone(), None);
    let range = ask((1, 0), (START, START + HOUR), None, 10);
    let found = history.page(range).await.unwrap();
    let shown: Vec<String> = found
        .page
        .points
        .iter()
        .map(|point| format!("{point:?}"))
        .collect();
    assert_eq!(
        shown,
        [
            "Point { at: Timestamp(1772323200000), value: Number(1.5), quality: Quality(0) }",
            "Point { at: Timestamp(1772323260123), value: Number(-2.0), quality: Quality(129) }",
        ]
    );
}

/// Answers written by hand after "Annotated CSV" of `InfluxDB`'s documentation.
const TWO_BLOCKS: &str = "\
#datatype,string,long,dateTime:RFC3339,double,string,string\r
#group,false,false,false,false,true,true\r
#default,_result,,,,,\r
,result,table,_time,_value,_field,device\r
,,0,2026-03-01T00:00:00Z,1.5,pressure_kpa,\"gas,=\"\"1\"\"}'湖\"\r
,,0,2026-03-01T00:01:00.123Z,-2,pressure_kpa,\"gas,=\"\"1\"\"}'湖\"\r
\r
#datatype,string,long,string,double,dateTime:RFC3339,string\r
#group,false,false,true,false,false,true\r
#default,_result,,,,,\r
,result,table,_field,_value,_time,device\r
,,1,pressure_kpa_quality,129,2026-03-01T00:01:00.123Z,x\r
\r
";

const NULL_NUMBER: &str = "\
#datatype,string,long,dateTime:RFC3339,double,string\r
#group,false,false,false,false,true\r
#default,_result,,,,\r
,result,table,_time,_value,_field\r
,,0,2026-03-01T00:00:00Z,,pressure_kpa\r
\r
";

const NO_NUMBER: &str = "\
#datatype,string,long,dateTime:RFC3339,double,string\r
#group,false,false,false,false,true\r
#default,_result,,,,\r
,result,table,_time,_value,_field\r
,,0,2026-03-01T00:00:00Z,three,pressure_kpa\r
\r
";

const ERROR_TABLE: &str = "\
#datatype,string,string\r
#group,true,true\r
#default,,\r
,error,reference\r
,\"failed to initialize execute state: could not find bucket \"\"telemetry\"\"\",897\r
";

/// An error after the first rows: its table has no annotations.
const LATE_ERROR: &str = "\
#datatype,string,long,dateTime:RFC3339,double,string\r
#group,false,false,false,false,true\r
#default,_result,,,,\r
,result,table,_time,_value,_field\r
,,0,2026-03-01T00:00:00Z,1,pressure_kpa\r
\r
error,reference\r
query terminated: reached maximum allowed memory,\r
";

const SOMETHING_ELSE: &str = "\
#datatype,string,long,dateTime:RFC3339,double,string\r
#group,false,false,false,false,true\r
#default,_result,,,,\r
,result,table,_time,_value,_field\r
,,0,2026-03-01T00:00:00Z,1,battery_pct\r
\r
";
