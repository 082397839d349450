//! One cause, one alarm: gateways and their children, composites and their members, chatter,
//! floods and what is stale.

use super::life::{line, lines, pass};
use super::*;
use crate::alarm::FloodEvent;

/// How long every device may be silent, in seconds; three times its cadence.
const PATIENCE_S: i64 = 180;

fn silent() -> What {
    What::Raised(Figures {
        severity: Severity::Major,
        value: Some(180.0),
        limit: Some(180.0),
        peak: Some(180.0),
        count: 0,
    })
}

fn id(text: &str) -> DeviceId {
    DeviceId::new(text).expect("an id")
}

/// A gateway `gw` and its children `s1`, `s2` …
struct Site {
    book: AlarmBook,
    told: Told,
}

impl Site {
    fn new() -> Self {
        Self {
            book: AlarmBook::default(),
            told: Told::default(),
        }
    }

    fn heard(&mut self, s: i64) {
        self.told.heard.insert(id("gw"), at(s));
    }

    fn change(&mut self, alarm: u64, device: &str, at_s: i64, what: What) -> Vec<life::Line> {
        let device = id(device);
        let gateway = id("gw");
        let facts = Facts {
            device: &device,
            rule_kind: "silence",
            gateway: (device != gateway).then_some(&gateway),
            ..facts_of_nothing(&device)
        };
        let change = Change {
            rule: "quiet".into(),
            ..change(alarm, at_s, what)
        };
        let mut out = Vec::new();
        self.book.apply(&change, Some(&facts), &self.told, &mut out);
        lines(out)
    }

    /// The device was last heard a patience ago.
    fn falls_silent(&mut self, alarm: u64, device: &str, at_s: i64) -> Vec<life::Line> {
        self.change(alarm, device, at_s, silent())
    }

    fn speaks(&mut self, alarm: u64, device: &str, at_s: i64) -> Vec<life::Line> {
        let figures = figures(Severity::Major, 200.0);
        let figures = Figures {
            limit: Some(180.0),
            ..figures
        };
        let reason = ClearReason::Normal;
        self.change(alarm, device, at_s, What::Cleared { reason, figures })
    }

    fn pass(&mut self, to_s: i64) -> Vec<life::Line> {
        pass(&mut self.book, to_s, &self.told)
    }

    fn row(&self, id: &str) -> &AlarmRow {
        self.book.get(id).expect("an open alarm")
    }
}

fn facts_of_nothing(device: &DeviceId) -> Facts<'_> {
    Facts {
        device,
        kind: "smoke",
        site: Some("north"),
        grid: None,
        title: "",
        category: None,
        metric: None,
        unit: None,
        rule_kind: "threshold",
        latching: false,
        gateway: None,
        scope: None,
    }
}

#[test]
fn a_silent_gateway_is_one_alarm_and_its_children_return_one_by_one() {
    let mut site = Site::new();
    // s1 was last heard at 20 s, s2 at 50 s and, through it, the gateway, too.
    site.heard(50);
    let told = site.falls_silent(1, "s1", 20 + PATIENCE_S);
    assert_eq!(told, [line(200, "suppressed", "a1", Suppressed)]);
    assert_eq!(site.row("a1").suppressed_by.as_deref(), Some("gw"));
    assert_eq!(site.row("a1").returns_at, Some(at(200 + PATIENCE_S)));
    let told = site.falls_silent(2, "gw", 50 + PATIENCE_S);
    let expected = [
        line(230, "raised", "a2", ActiveUnacked),
        line(230, "suppressed", "a1", Suppressed),
    ];
    assert_eq!(told, expected);
    let told = site.falls_silent(3, "s2", 50 + PATIENCE_S);
    assert_eq!(told, [line(230, "suppressed", "a3", Suppressed)]);
    for child in ["a1", "a3"] {
        let row = site.row(child);
        assert_eq!(row.suppressed_by.as_deref(), Some("a2"), "{child}");
        assert_eq!((row.returns_at, row.announced_at), (None, None), "{child}");
    }
    assert_eq!(site.pass(10_000), []);
    // The gateway speaks through s3; s1 speaks in time, s2 does not.
    site.heard(10_000);
    let told = site.speaks(2, "gw", 10_000);
    // A row that is stored, but told nobody, for each of the two.
    let expected = [
        line(10_000, "cleared", "a2", ClearedUnacked),
        line(10_000, "waiting", "a1", Suppressed),
        line(10_000, "waiting", "a3", Suppressed),
    ];
    assert_eq!(told, expected);
    let told = site.speaks(1, "s1", 10_030);
    assert_eq!(told, [line(10_030, "settled", "a1", Normal)]);
    assert_eq!(site.pass(10_179), []);
    let told = site.pass(10_180);
    assert_eq!(told, [line(10_180, "returned", "a3", ActiveUnacked)]);
    assert_eq!(site.row("a3").announced_at, Some(at(10_180)));
    assert_eq!(site.row("a3").suppressed_by, None);
}

#[test]
fn a_child_that_is_silent_while_its_gateway_speaks_is_announced_at_once() {
    let mut site = Site::new();
    // s1 was last heard at 20 s; its slot and half of one more end at 110 s.
    site.heard(110);
    let told = site.falls_silent(1, "s1", 20 + PATIENCE_S);
    assert_eq!(told, [line(200, "raised", "a1", ActiveUnacked)]);
    // When the gateway falls silent later, this stays an alarm of its own.
    let told = site.falls_silent(2, "gw", 110 + PATIENCE_S);
    assert_eq!(told, [line(290, "raised", "a2", ActiveUnacked)]);
}

#[test]
fn a_child_on_hold_returns_when_its_gateway_speaks_or_after_one_more_patience() {
    let mut site = Site::new();
    site.heard(20);
    site.falls_silent(1, "s1", 200);
    site.falls_silent(2, "s2", 210);
    assert_eq!(site.pass(300), []);
    // Heard, but before s2 missed its slot for good, which is 30 s + 90 s.
    site.heard(115);
    let told = site.pass(301);
    assert_eq!(told, [line(301, "returned", "a1", ActiveUnacked)]);
    assert!(site.book.is_due(at(390), &site.told));
    let told = site.pass(500);
    assert_eq!(told, [line(390, "returned", "a2", ActiveUnacked)]);
}

#[test]
fn a_child_that_would_return_while_the_hub_does_not_run_gets_a_patience_after_it() {
    let mut site = Site::new();
    site.heard(20);
    site.falls_silent(1, "s1", 200);
    site.falls_silent(2, "s2", 290);
    // s1 would return at 380 s, s2 at 470 s.
    let mut out = Vec::new();
    site.book.resume((at(300), at(400)), &site.told, &mut out);
    assert_eq!(lines(out), [line(400, "waiting", "a1", Suppressed)]);
    assert_eq!(site.row("a1").returns_at, Some(at(400 + PATIENCE_S)));
    assert_eq!(site.row("a2").returns_at, Some(at(470)));
    assert_eq!(site.pass(400), []);
    let told = site.pass(1000);
    let expected = [
        line(470, "returned", "a2", ActiveUnacked),
        line(580, "returned", "a1", ActiveUnacked),
    ];
    assert_eq!(told, expected);
}

#[test]
fn children_return_at_once_when_their_gateway_is_a_false_alarm_or_out_of_service() {
    for verb in [Verb::FalseAlarm, Verb::OutOfService] {
        let mut site = Site::new();
        site.falls_silent(1, "gw", 200);
        site.falls_silent(2, "s1", 200);
        site.falls_silent(3, "s2", 200);
        let mut out = Vec::new();
        let action = complete(verb);
        let acted = site.book.act((at(300), &site.told), "a1", action, &mut out);
        let row = acted.expect("taken");
        let returned = |id| line(300, "returned", id, ActiveUnacked);
        let own = line(300, verb.name(), "a1", row.state);
        assert_eq!(lines(out), [own, returned("a2"), returned("a3")]);
        // It explains nothing that comes later, either.
        site.heard(250);
        let told = site.falls_silent(4, "s3", 310);
        assert_eq!(told, [line(310, "raised", "a4", ActiveUnacked)]);
    }
}

#[test]
fn a_gateway_that_falls_again_explains_those_that_still_wait() {
    let mut site = Site::new();
    site.falls_silent(1, "gw", 200);
    site.falls_silent(2, "s1", 200);
    site.heard(300);
    site.speaks(1, "gw", 300);
    site.falls_silent(3, "gw", 470);
    // At its own time it finds the gateway silent again.
    let told = site.pass(480);
    assert_eq!(told, [line(480, "suppressed", "a2", Suppressed)]);
    assert_eq!(site.row("a2").suppressed_by.as_deref(), Some("a3"));
}

/// Two smoke detectors of one site make a fire.
fn fire(hold_s: u32) -> Told {
    Told {
        covers: vec![("fire", Scope::Site, hold_s, &["smoke"])],
        ..Told::default()
    }
}

fn tell(book: &mut AlarmBook, told: &Told, change: &Change, device: &str) -> Vec<life::Line> {
    let device = id(device);
    let is_composite = &*change.rule == "fire";
    let facts = Facts {
        scope: is_composite.then_some(Scope::Site),
        ..facts_of_nothing(&device)
    };
    let mut out = Vec::new();
    book.apply(change, Some(&facts), told, &mut out);
    lines(out)
}

fn of_rule(rule: &str, alarm: u64, at_s: i64, severity: Severity) -> Change {
    Change {
        rule: rule.into(),
        ..change(alarm, at_s, What::Raised(figures(severity, 1.0)))
    }
}

#[test]
fn members_of_a_composite_are_one_alarm_with_it_and_return_when_it_ends() {
    let mut book = AlarmBook::default();
    let told = fire(0);
    let first = of_rule("smoke", 1, 10, Severity::Major);
    let second = of_rule("smoke", 2, 20, Severity::Major);
    let both = of_rule("fire", 3, 20, Severity::Critical);
    let third = of_rule("smoke", 4, 30, Severity::Major);
    tell(&mut book, &told, &first, "s1");
    assert_eq!(
        tell(&mut book, &told, &second, "s2"),
        [line(20, "raised", "a2", ActiveUnacked)]
    );
    let expected = [
        line(20, "raised", "a3", ActiveUnacked),
        line(20, "suppressed", "a1", Suppressed),
        line(20, "suppressed", "a2", Suppressed),
    ];
    assert_eq!(tell(&mut book, &told, &both, "s2"), expected);
    assert_eq!(
        tell(&mut book, &told, &third, "s3"),
        [line(30, "suppressed", "a4", Suppressed)]
    );
    let over = Change {
        rule: "fire".into(),
        ..change(3, 60, cleared())
    };
    let returned = |id| line(60, "returned", id, ActiveUnacked);
    let expected = [
        line(60, "cleared", "a3", ClearedUnacked),
        returned("a1"),
        returned("a2"),
        returned("a4"),
    ];
    assert_eq!(tell(&mut book, &told, &over, "s2"), expected);
}

#[test]
fn a_member_is_held_for_its_composite_and_announced_when_that_does_not_come() {
    let told = fire(60);
    for comes in [false, true] {
        let mut book = AlarmBook::default();
        let first = of_rule("smoke", 1, 10, Severity::Major);
        assert_eq!(
            tell(&mut book, &told, &first, "s1"),
            [line(10, "suppressed", "a1", Suppressed)]
        );
        let row = book.get("a1").expect("an alarm");
        assert_eq!(row.suppressed_by.as_deref(), Some("fire"));
        assert_eq!(row.returns_at, Some(at(70)));
        if comes {
            let both = of_rule("fire", 2, 40, Severity::Critical);
            tell(&mut book, &told, &both, "s2");
            assert_eq!(pass(&mut book, 1_000, &told), []);
        } else {
            let expected = [line(70, "returned", "a1", ActiveUnacked)];
            assert_eq!(pass(&mut book, 1_000, &told), expected);
        }
    }
}

#[test]
fn a_composite_hides_nothing_that_is_worse_than_itself() {
    let mut book = AlarmBook::default();
    let told = fire(0);
    let both = of_rule("fire", 1, 10, Severity::Major);
    tell(&mut book, &told, &both, "s1");
    let worse = of_rule("smoke", 2, 20, Severity::Critical);
    assert_eq!(
        tell(&mut book, &told, &worse, "s1"),
        [line(20, "raised", "a2", ActiveUnacked)]
    );
    let member = of_rule("smoke", 3, 30, Severity::Minor);
    tell(&mut book, &told, &member, "s2");
    let grown = Change {
        what: What::Escalated(figures(Severity::Critical, 2.0)),
        ..of_rule("smoke", 3, 40, Severity::Minor)
    };
    assert_eq!(
        tell(&mut book, &told, &grown, "s2"),
        [line(40, "escalated", "a3", ActiveUnacked)]
    );
}

#[test]
fn a_third_raise_within_a_minute_is_chatter_and_hides_nothing_for_longer_than_that() {
    let mut book = AlarmBook::default();
    let quiet = Told::default();
    let mut told = Vec::new();
    for (alarm, at_s) in [(1, 0), (2, 20), (3, 40), (4, 59)] {
        let raise = of_rule("over", alarm, at_s, Severity::Major);
        told.extend(tell(&mut book, &quiet, &raise, "gas-1"));
        let clear = change(alarm, at_s + 10, cleared());
        if alarm < 4 {
            told.extend(tell(&mut book, &quiet, &clear, "gas-1"));
        }
    }
    let expected = [
        line(0, "raised", "a1", ActiveUnacked),
        line(10, "cleared", "a1", ClearedUnacked),
        line(20, "raised", "a2", ActiveUnacked),
        line(30, "cleared", "a2", ClearedUnacked),
        line(40, "chattering", "a1", ClearedUnacked),
        line(40, "suppressed", "a3", Suppressed),
        line(50, "settled", "a3", Normal),
        line(59, "suppressed", "a4", Suppressed),
    ];
    assert_eq!(told, expected);
    assert_eq!(book.load(at(59)).chattering, 1);
    let row = book.get("a4").expect("an alarm");
    assert_eq!(row.suppressed_by.as_deref(), Some("a1"));
    assert_eq!(pass(&mut book, 118, &quiet), []);
    let returned = [line(119, "returned", "a4", ActiveUnacked)];
    assert_eq!(pass(&mut book, 119, &quiet), returned);
    assert_eq!(book.load(at(119)).chattering, 0);
}

#[test]
fn three_raises_in_exactly_a_minute_are_no_chatter() {
    let mut book = AlarmBook::default();
    let quiet = Told::default();
    for (alarm, at_s) in [(1, 0), (2, 30), (3, 60)] {
        let raise = of_rule("over", alarm, at_s, Severity::Major);
        let told = tell(&mut book, &quiet, &raise, "gas-1");
        assert_eq!(told.last().map(|line| line.1), Some("raised"), "{alarm}");
        tell(
            &mut book,
            &quiet,
            &change(alarm, at_s + 1, cleared()),
            "gas-1",
        );
    }
}

#[test]
fn a_flood_begins_with_the_eleventh_alarm_in_ten_minutes_and_ends_under_five() {
    let mut book = AlarmBook::default();
    let quiet = Told::default();
    let mut out = Vec::new();
    for number in 1..=11_u64 {
        let at_s = i64::try_from(number).expect("small") * 10;
        let device = id(&format!("d{number}"));
        let raise = of_rule("over", number, at_s, Severity::Major);
        let facts = facts_of_nothing(&device);
        book.apply(&raise, Some(&facts), &quiet, &mut out);
    }
    let load = book.load(at(110));
    assert_eq!((load.announced, load.flood_since), (11, Some(at(110))));
    // The last four were announced from 80 s on; the fifth last, at 70 s, counts until 670 s.
    assert_eq!(book.next_deadline(), Some(at(670)));
    book.advance(at(700), &quiet, &mut out);
    let floods: Vec<FloodEvent> = out
        .into_iter()
        .filter_map(|event| match event {
            BookEvent::Flood(flood) => Some(flood),
            BookEvent::Alarm(_) => None,
        })
        .collect();
    let flood = |at_s, ended, announced| FloodEvent {
        at: at(at_s),
        since: at(110),
        ended,
        announced,
    };
    assert_eq!(floods, [flood(110, false, 11), flood(670, true, 4)]);
    // Nothing was hidden.
    assert_eq!(
        book.rows().filter(|row| row.state == ActiveUnacked).count(),
        11
    );
}

#[test]
fn an_alarm_that_is_active_for_a_day_is_stale_once() {
    let mut book = AlarmBook::default();
    let quiet = Told::default();
    apply(&mut book, &change(1, 10, raised(401.0)));
    act(&mut book, "a1", Verb::Ack).expect("acked");
    let expected = [line(86_410, "stale", "a1", ActiveAcked)];
    assert_eq!(pass(&mut book, 90_000, &quiet), expected);
    assert_eq!(pass(&mut book, 900_000, &quiet), []);
    assert_eq!(book.load(at(90_000)).stale, 1);
}
