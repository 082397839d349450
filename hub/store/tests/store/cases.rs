//! Cases: searched by what people ask for, and read back as they were written.

use crate::kit::{Rig, START, at};
use model::{CaseRow, CaseState, DeviceId, Severity};
use serde_json::{Value, json};
use store::{CaseFilter, CaseQuery};

fn case(number: u32, more: &Value) -> CaseRow {
    let mut row = json!({
        "id": format!("c{number}"), "category": {"code": "0403", "name": "燃气管道破裂"},
        "severity": "major", "title": "中压燃气管道超压", "description": "", "location": null,
        "grid": "350203001002003", "district": "350203", "street": "350203001",
        "component_code": null, "device": format!("gas-{number}"), "kind": "gas_pressure",
        "site": "花园路调压站", "rule": "over", "alarm": format!("a{number}"),
        "evidence": {"metric": null, "unit": null, "value": null, "limit": null, "window_s": null,
            "peak": null, "from": null, "to": null, "readings": 0},
        "state": "reported", "opened_at": START + i64::from(number) * 1000, "due_at": null,
        "steps": [], "version": 1,
    });
    let fields = row.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    serde_json::from_value(row).unwrap()
}

fn filled(rig: &mut Rig) {
    let mut group = rig.begin(START);
    for row in [
        case(
            1,
            &json!({"state": "closed", "closed_at": START + 5_000, "severity": "critical"}),
        ),
        case(2, &json!({"severity": "minor", "unit": "燃气公司"})),
        case(
            3,
            &json!({"grid": "350203002001001", "street": "350203002", "overdue": true}),
        ),
        case(
            4,
            &json!({"category": {"code": "", "name": "未分类"}, "unroutable": "no category"}),
        ),
        case(5, &json!({"state": "closed", "closed_at": START - 5_000})),
        case(
            10,
            &json!({"state": "accepted", "kind": "smoke", "title": "烟感报警"}),
        ),
    ] {
        group.case(&row);
    }
    rig.journal.commit(group).unwrap();
}

fn ids(rig: &Rig, query: &CaseQuery) -> Vec<String> {
    let page = rig.reader.cases(query).unwrap();
    let row = |json: &String| serde_json::from_str::<CaseRow>(json).unwrap().id;
    page.rows.iter().map(row).collect()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn cases_are_found_by_each_of_their_marks_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    filled(&mut rig);
    let open = CaseQuery {
        limit: 100,
        ..CaseQuery::default()
    };
    let text = |text: &str| Some(text.to_owned());
    let all = CaseQuery {
        states: CaseFilter::All,
        ..open.clone()
    };
    for (query, expected) in [
        (open.clone(), "c10 c4 c3 c2"),
        (all.clone(), "c10 c5 c4 c3 c2 c1"),
        (
            CaseQuery {
                states: CaseFilter::Only(vec![CaseState::Closed]),
                ..open.clone()
            },
            "c5 c1",
        ),
        (
            CaseQuery {
                severities: vec![Severity::Minor, Severity::Critical],
                ..all.clone()
            },
            "c2 c1",
        ),
        (
            CaseQuery {
                category: text("04"),
                ..open.clone()
            },
            "c10 c3 c2",
        ),
        (
            CaseQuery {
                grid: text("350203002"),
                ..open.clone()
            },
            "c3",
        ),
        (
            CaseQuery {
                grid: text("350203001002003"),
                ..open.clone()
            },
            "c10 c4 c2",
        ),
        (
            CaseQuery {
                district: text("3502"),
                ..open.clone()
            },
            "",
        ),
        (
            CaseQuery {
                street: text("350203002"),
                ..open.clone()
            },
            "c3",
        ),
        (
            CaseQuery {
                unit: text("燃气公司"),
                ..open.clone()
            },
            "c2",
        ),
        (
            CaseQuery {
                kind: text("smoke"),
                ..open.clone()
            },
            "c10",
        ),
        (
            CaseQuery {
                device: Some(DeviceId::new("gas-3").unwrap()),
                ..open.clone()
            },
            "c3",
        ),
        (
            CaseQuery {
                overdue: true,
                ..open.clone()
            },
            "c3",
        ),
        (
            CaseQuery {
                unroutable: true,
                ..open.clone()
            },
            "c4",
        ),
        (
            CaseQuery {
                q: text("烟感"),
                ..open.clone()
            },
            "c10",
        ),
        (
            CaseQuery {
                q: text("GAS-2"),
                ..open.clone()
            },
            "c2",
        ),
        (
            CaseQuery {
                opened_from: Some(at(START + 3_000)),
                opened_to: Some(at(START + 5_000)),
                ..all.clone()
            },
            "c4 c3",
        ),
        (
            CaseQuery {
                after: Some(4),
                ..all.clone()
            },
            "c3 c2 c1",
        ),
    ] {
        assert_eq!(ids(&rig, &query).join(" "), expected, "{query:?}");
    }
    let first = rig
        .reader
        .cases(&CaseQuery {
            limit: 2,
            ..open.clone()
        })
        .unwrap();
    assert_eq!(first.next, Some(4));
    let rest = CaseQuery {
        after: first.next,
        ..open
    };
    assert_eq!(ids(&rig, &rest), ["c3", "c2"]);
    assert_eq!(rig.reader.cases(&rest).unwrap().next, None);
}

#[test]
fn a_row_replaces_the_one_before_and_outlives_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::open(dir.path());
    filled(&mut rig);
    let changed = case(2, &json!({"version": 2, "state": "accepted", "note": "x"}));
    let mut group = rig.begin(START + 1);
    group.case(&changed);
    rig.journal.commit(group).unwrap();
    drop(rig);
    let rig = Rig::open(dir.path());
    assert_eq!(rig.reader.case("c2").unwrap(), Some(changed));
    for other in ["c02", "c99", "c", "a2", "2"] {
        assert_eq!(rig.reader.case(other).unwrap(), None, "{other}");
    }
    let (rows, last) = rig.reader.cases_at_hand(at(START)).unwrap();
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!((ids.join(" ").as_str(), last), ("c1 c2 c3 c4 c10", 10));
}
