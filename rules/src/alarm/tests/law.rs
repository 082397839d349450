//! The book's laws, over random changes, actions, times and restarts.

use super::*;
use proptest::prelude::*;

const DEVICES: [&str; 4] = ["gw", "s1", "s2", "s3"];

/// Rule, kind, whether it latches, whether it is on trial.
const RULES: [(&str, &str, bool, bool); 5] = [
    ("quiet", "silence", false, false),
    ("over", "threshold", false, false),
    ("smoke", "threshold", true, false),
    ("fire", "all", false, false),
    ("trial", "threshold", false, true),
];

#[derive(Clone, Debug)]
enum Op {
    /// Raises what is clear and clears what is active.
    Turn {
        rule: usize,
        device: usize,
    },
    Grade {
        rule: usize,
        device: usize,
        severity: Severity,
    },
    Withdraw {
        rule: usize,
        device: usize,
    },
    Act {
        nth: usize,
        verb: Verb,
        minutes: u32,
    },
    Heard,
    Pass {
        s: i64,
    },
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let place = || (0..RULES.len(), 0..DEVICES.len());
    let severity = prop::sample::select(Severity::ALL.to_vec());
    let verb = prop::sample::select(Verb::ALL.to_vec());
    let op = prop_oneof![
        8 => place().prop_map(|(rule, device)| Op::Turn { rule, device }),
        2 => (place(), severity).prop_map(|((rule, device), severity)| {
            Op::Grade { rule, device, severity }
        }),
        1 => place().prop_map(|(rule, device)| Op::Withdraw { rule, device }),
        6 => (0..8_usize, verb, 1..4_u32).prop_map(|(nth, verb, minutes)| {
            Op::Act { nth, verb, minutes }
        }),
        1 => Just(Op::Heard),
        6 => (1..100_i64).prop_map(|s| Op::Pass { s }),
        1 => (1_000..100_000_i64).prop_map(|s| Op::Pass { s }),
    ];
    prop::collection::vec(op, 1..120)
}

/// The truth that the engine would know, and the book beside it.
struct World {
    now: Timestamp,
    numbers: u64,
    /// By rule and device; none on trial is left out.
    active: BTreeMap<(usize, usize), u64>,
    told: Told,
    book: AlarmBook,
    rows: BTreeMap<String, AlarmRow>,
    /// When each alarm last sounded.
    sounded: BTreeMap<String, Timestamp>,
    /// A book that was made of the rows at some moment, and is told the same from then on.
    restarted: Option<AlarmBook>,
}

impl World {
    fn new() -> Self {
        Self {
            now: at(1_000),
            numbers: 0,
            active: BTreeMap::new(),
            told: Told {
                covers: vec![("fire", Scope::Site, 20, &["over", "smoke"])],
                ..Told::default()
            },
            book: AlarmBook::default(),
            rows: BTreeMap::new(),
            sounded: BTreeMap::new(),
            restarted: None,
        }
    }

    /// Does the same to both books, and demands the same of both.
    fn both(&mut self, mut work: impl FnMut(&mut AlarmBook, &Told, &mut Vec<BookEvent>)) {
        let mut out = Vec::new();
        work(&mut self.book, &self.told, &mut out);
        if let Some(restarted) = &mut self.restarted {
            let mut again = Vec::new();
            work(restarted, &self.told, &mut again);
            assert_eq!(again, out);
        }
        for event in alarms(out) {
            if event.sounds() {
                self.sounded.insert(event.row.id.clone(), event.at);
            }
            self.rows.insert(event.row.id.clone(), event.row);
        }
    }

    fn change(&mut self, (rule, device): (usize, usize), alarm: u64, what: What) {
        let (name, kind, latching, shadow) = RULES[rule];
        let id = DeviceId::new(DEVICES[device]).expect("an id");
        let gateway = DeviceId::new("gw").expect("an id");
        let change = Change {
            rule: name.into(),
            shadow,
            at: self.now,
            ..change(alarm, 0, what)
        };
        self.both(|book, told, out| {
            let facts = Facts {
                device: &id,
                kind: "smoke",
                site: Some("north"),
                grid: None,
                title: "",
                category: None,
                metric: None,
                unit: None,
                rule_kind: kind,
                latching,
                gateway: (id != gateway).then_some(&gateway),
                scope: (kind == "all").then_some(Scope::Site),
            };
            book.apply(&change, Some(&facts), told, out);
        });
    }

    fn figures(severity: Severity) -> Figures {
        Figures {
            limit: Some(180.0),
            ..figures(severity, 180.0)
        }
    }

    fn play(&mut self, op: &Op) {
        match *op {
            Op::Turn { rule, device } => self.turn((rule, device)),
            Op::Grade {
                rule,
                device,
                severity,
            } => {
                let Some(alarm) = self.active.get(&(rule, device)).copied() else {
                    return;
                };
                let before = self.book.get(&alarm_id(alarm)).map(|row| row.severity);
                let figures = Self::figures(severity);
                let what = match before.map(|before| severity.cmp(&before)) {
                    Some(std::cmp::Ordering::Greater) => What::Escalated(figures),
                    // A composite that gets better than its members is not played.
                    Some(std::cmp::Ordering::Less) if rule != 3 => What::Deescalated(figures),
                    _ => return,
                };
                self.change((rule, device), alarm, what);
            }
            Op::Withdraw { rule, device } => {
                if let Some(alarm) = self.active.remove(&(rule, device)) {
                    self.change((rule, device), alarm, What::Withdrawn);
                }
            }
            Op::Act { nth, verb, minutes } => {
                let ids: Vec<String> = self.book.rows().map(|row| row.id.clone()).collect();
                let Some(id) = ids.get(nth) else { return };
                let now = self.now;
                let action = Action {
                    minutes: Some(minutes),
                    ..complete(verb)
                };
                self.both(|book, told, out| drop(book.act((now, told), id, action, out)));
            }
            Op::Heard => {
                let gateway = DeviceId::new("gw").expect("an id");
                self.told.heard.insert(gateway, self.now);
            }
            Op::Pass { s } => self.now = self.now.plus_s(s),
        }
        let now = self.now;
        self.both(|book, told, out| book.advance(now, told, out));
    }

    fn turn(&mut self, place: (usize, usize)) {
        if let Some(alarm) = self.active.remove(&place) {
            let cleared = What::Cleared {
                reason: ClearReason::Normal,
                figures: Self::figures(Severity::Minor),
            };
            self.change(place, alarm, cleared);
        } else {
            self.numbers += 1;
            self.active.insert(place, self.numbers);
            let raised = What::Raised(Self::figures(Severity::Major));
            self.change(place, self.numbers, raised);
        }
    }

    fn check(&self) {
        for ((rule, device), alarm) in &self.active {
            let id = alarm_id(*alarm);
            let case = (RULES[*rule].0, DEVICES[*device], &id);
            let row = self.book.get(&id).expect("an active alarm is in the list");
            assert!(row.active, "{case:?}");
            match row.state {
                ActiveUnacked | ActiveAcked => {
                    let is_told = row.announced_at.is_some() && self.sounded.contains_key(&id);
                    assert!(is_told || RULES[*rule].3, "{case:?} was not announced");
                }
                Shelved | Suppressed | OutOfService => {}
                state => panic!("{case:?} is active and {state:?}"),
            }
        }
        for row in self.book.rows() {
            self.check_row(row);
        }
        if let Some(restarted) = &self.restarted {
            assert!(restarted.rows().eq(self.book.rows()));
            assert_eq!(restarted.next_deadline(), self.book.next_deadline());
            assert_eq!(restarted.load(self.now), self.book.load(self.now));
        }
    }

    fn check_row(&self, row: &AlarmRow) {
        let is_active = self.active.values().any(|alarm| alarm_id(*alarm) == row.id);
        assert_eq!(row.active, is_active, "{row:?}");
        let in_future = |at: Option<Timestamp>| at.is_some_and(|at| at > self.now);
        match row.state {
            Shelved => {
                assert!(in_future(row.shelved_until), "{row:?}");
                assert!(row.shelve_reason.is_some() && row.shelved_by.is_some());
            }
            Suppressed => {
                let cause = row.suppressed_by.as_deref().expect("a cause");
                let is_there = self.book.get(cause).is_some_and(|cause| cause.active);
                assert!(is_there || in_future(row.returns_at), "{row:?}");
                if row.suppression == Some(model::Suppression::Chatter) {
                    let longest = row.raised_at.plus_s(60);
                    assert!(row.returns_at.is_some_and(|at| at <= longest), "{row:?}");
                }
            }
            _ => {
                assert_eq!(row.shelved_until, None, "{row:?}");
                assert_eq!(row.returns_at, None, "{row:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn an_active_alarm_is_shown_or_visibly_set_aside_and_a_restart_changes_nothing(
        ops in ops(),
        restart in 0..120_usize,
    ) {
        let mut world = World::new();
        for (index, op) in ops.iter().enumerate() {
            if index == restart {
                let rows = world.rows.values().cloned().collect();
                world.restarted = Some(AlarmBook::restore(rows, world.now));
            }
            world.play(op);
            world.check();
        }
    }
}
