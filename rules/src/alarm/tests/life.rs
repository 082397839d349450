//! Every action in every state, what each must say, shelves, latches and service.

use super::*;

#[test]
fn every_action_in_every_state_does_what_the_table_says() {
    const NO: Option<AlarmState> = None;
    let to = Some;
    // State; condition there; after ack, shelve, unshelve, assign, comment, false_alarm,
    // out_of_service, in_service, reset; none where the action is refused.
    #[rustfmt::skip]
    let table = [
        (ActiveUnacked, true, [to(ActiveAcked), to(Shelved), NO, to(ActiveUnacked), to(ActiveUnacked), to(ActiveAcked), to(OutOfService), NO, NO]),
        (ActiveUnacked, false, [to(ActiveAcked), to(Shelved), NO, to(ActiveUnacked), to(ActiveUnacked), to(ActiveAcked), to(OutOfService), NO, NO]),
        (ActiveAcked, true, [NO, to(Shelved), NO, to(ActiveAcked), to(ActiveAcked), to(ActiveAcked), to(OutOfService), NO, NO]),
        (ActiveAcked, false, [NO, to(Shelved), NO, to(ActiveAcked), to(ActiveAcked), to(ActiveAcked), to(OutOfService), NO, NO]),
        (ClearedUnacked, true, [to(Normal), to(Shelved), NO, to(ClearedUnacked), to(ClearedUnacked), to(Normal), to(OutOfService), NO, NO]),
        (ClearedUnacked, false, [to(Normal), to(Shelved), NO, to(ClearedUnacked), to(ClearedUnacked), to(Normal), to(OutOfService), NO, NO]),
        (LatchedUnacked, true, [to(LatchedAcked), to(Shelved), NO, to(LatchedUnacked), to(LatchedUnacked), to(LatchedAcked), to(OutOfService), NO, NO]),
        (LatchedUnacked, false, [to(LatchedAcked), to(Shelved), NO, to(LatchedUnacked), to(LatchedUnacked), to(LatchedAcked), to(OutOfService), NO, to(Normal)]),
        (LatchedAcked, true, [NO, to(Shelved), NO, to(LatchedAcked), to(LatchedAcked), to(LatchedAcked), to(OutOfService), NO, NO]),
        (LatchedAcked, false, [NO, to(Shelved), NO, to(LatchedAcked), to(LatchedAcked), to(LatchedAcked), to(OutOfService), NO, to(Normal)]),
        (Normal, true, [NO, NO, NO, NO, to(Normal), to(Normal), NO, NO, NO]),
        (Normal, false, [NO, NO, NO, NO, to(Normal), to(Normal), NO, NO, NO]),
        (Shelved, true, [NO, to(Shelved), to(ActiveUnacked), to(Shelved), to(Shelved), to(Shelved), to(OutOfService), NO, NO]),
        (Shelved, false, [NO, to(Shelved), to(Normal), to(Shelved), to(Shelved), to(Shelved), to(OutOfService), NO, NO]),
        (Suppressed, true, [NO, NO, NO, to(Suppressed), to(Suppressed), NO, to(OutOfService), NO, NO]),
        (Suppressed, false, [NO, NO, NO, to(Suppressed), to(Suppressed), NO, to(OutOfService), NO, NO]),
        (OutOfService, true, [NO, NO, NO, to(OutOfService), to(OutOfService), to(OutOfService), NO, to(ActiveUnacked), NO]),
        (OutOfService, false, [NO, NO, NO, to(OutOfService), to(OutOfService), to(OutOfService), NO, to(Normal), NO]),
    ];
    let states: Vec<AlarmState> = table.iter().map(|line| line.0).collect();
    let expected: Vec<AlarmState> = AlarmState::ALL.into_iter().flat_map(|s| [s, s]).collect();
    assert_eq!(states, expected);
    for (state, active, after) in table {
        for (verb, after) in Verb::ALL.into_iter().zip(after) {
            let case = format!("{state:?}, active {active}, {verb:?}");
            let mut book = book_in(state, active);
            let before = book.get("a1").cloned();
            let refused = if state == Normal {
                ActError::NotFound
            } else {
                ActError::Impossible { state, verb }
            };
            let expected = after.ok_or(refused);
            assert_eq!(act(&mut book, "a1", verb), expected, "{case}");
            assert_eq!(state_of(&book), after.unwrap_or(state), "{case}");
            if after.is_none() {
                assert_eq!(book.get("a1"), before.as_ref(), "{case}");
            }
        }
    }
}

#[test]
fn an_action_that_does_not_say_enough_changes_nothing() {
    let missing = |verb, field| Err(ActError::Missing { verb, field });
    let of = |verb| Action::new(verb, "li.na");
    let shelf = |minutes, reason| Action {
        minutes,
        reason,
        ..of(Verb::Shelve)
    };
    let blank = |verb| Action {
        comment: Some("  "),
        ..of(verb)
    };
    let too_long = |minutes| Err(ActError::TooLong { minutes });
    let cases = [
        (of(Verb::Comment), missing(Verb::Comment, "comment")),
        (blank(Verb::Comment), missing(Verb::Comment, "comment")),
        (of(Verb::FalseAlarm), missing(Verb::FalseAlarm, "comment")),
        (
            of(Verb::OutOfService),
            missing(Verb::OutOfService, "comment"),
        ),
        (shelf(None, Some("x")), missing(Verb::Shelve, "minutes")),
        (shelf(Some(10), None), missing(Verb::Shelve, "reason")),
        (shelf(Some(10), Some(" ")), missing(Verb::Shelve, "reason")),
        (shelf(Some(0), Some("x")), too_long(0)),
        (shelf(Some(1441), Some("x")), too_long(1441)),
    ];
    for (action, expected) in cases {
        let mut book = book_in(ActiveUnacked, true);
        let before = book.get("a1").cloned();
        assert_eq!(take(&mut book, "a1", action).map(|row| row.state), expected);
        assert_eq!(book.get("a1"), before.as_ref());
    }
    let mut book = book_in(ActiveUnacked, true);
    let longest = shelf(Some(1440), Some("x"));
    let row = take(&mut book, "a1", longest).expect("a day is allowed");
    assert_eq!(row.shelved_until, Some(at(100 + 86_400)));
}

#[test]
fn a_critical_alarm_is_shelved_by_a_supervisor_only() {
    let mut book = AlarmBook::default();
    let critical = What::Raised(figures(Severity::Critical, 450.0));
    apply(&mut book, &change(1, 10, critical));
    let officer = Action {
        is_supervisor: false,
        ..complete(Verb::Shelve)
    };
    assert_eq!(
        take(&mut book, "a1", officer),
        Err(ActError::NeedsSupervisor)
    );
    assert_eq!(state_of(&book), ActiveUnacked);
    assert_eq!(act(&mut book, "a1", Verb::Shelve), Ok(Shelved));
    let mut book = AlarmBook::default();
    apply(&mut book, &change(1, 10, raised(401.0)));
    assert_eq!(take(&mut book, "a1", officer).map(|r| r.state), Ok(Shelved));
}

/// Lets time pass; gives what was told, as `(seconds, kind, id, state)`.
pub(super) fn pass(book: &mut AlarmBook, to_s: i64, around: &Told) -> Vec<Line> {
    let mut out = Vec::new();
    book.advance(at(to_s), around, &mut out);
    lines(out)
}

pub(super) type Line = (i64, &'static str, String, AlarmState);

pub(super) fn lines(out: Vec<BookEvent>) -> Vec<Line> {
    let line = |event: AlarmEvent| {
        let at_s = event.at.millis() / 1000;
        (at_s, event.kind, event.row.id, event.row.state)
    };
    alarms(out).into_iter().map(line).collect()
}

pub(super) fn line(at_s: i64, kind: &'static str, id: &str, state: AlarmState) -> Line {
    (at_s, kind, id.to_owned(), state)
}

#[test]
fn a_shelf_ends_by_itself_and_an_active_alarm_sounds_again() {
    let mut book = AlarmBook::default();
    apply(&mut book, &change(1, 10, raised(401.0)));
    act(&mut book, "a1", Verb::Ack).expect("acked");
    let row = take(&mut book, "a1", complete(Verb::Shelve)).expect("shelved");
    let shelf = (row.shelved_by.as_deref(), row.shelve_reason.as_deref());
    assert_eq!(shelf, (Some("li.na"), Some("works on the line")));
    // Thirty minutes from 100 s on.
    assert_eq!(book.next_deadline(), Some(at(1_900)));
    assert_eq!(pass(&mut book, 1_899, &Told::default()), []);
    let told = pass(&mut book, 5_000, &Told::default());
    assert_eq!(told, [line(1_900, "unshelved", "a1", ActiveUnacked)]);
    let row = book.get("a1").expect("an alarm");
    assert_eq!((row.shelved_until, &row.shelve_reason), (None, &None));
}

#[test]
fn what_is_over_when_its_shelf_ends_is_over() {
    let mut book = AlarmBook::default();
    apply(&mut book, &change(1, 10, raised(401.0)));
    act(&mut book, "a1", Verb::Shelve).expect("shelved");
    let (kind, row) = apply(&mut book, &change(1, 200, cleared())).expect("an event");
    assert_eq!((kind, row.state, row.active), ("cleared", Shelved, false));
    let told = pass(&mut book, 2_000, &Told::default());
    assert_eq!(told, [line(1_900, "unshelved", "a1", Normal)]);
    assert_eq!(book.next_deadline(), None);
}

#[test]
fn a_new_episode_is_shelved_until_the_same_end_unless_it_is_worse() {
    let mut book = AlarmBook::default();
    apply(&mut book, &change(1, 10, raised(401.0)));
    act(&mut book, "a1", Verb::Shelve).expect("shelved");
    apply(&mut book, &change(1, 200, cleared()));
    let device = device();
    let mut out = Vec::new();
    let again = change(2, 300, raised(402.0));
    book.apply(&again, Some(&facts(&device)), &Told::default(), &mut out);
    let expected = [
        line(300, "settled", "a1", Normal),
        line(300, "shelved", "a2", Shelved),
    ];
    assert_eq!(lines(out), expected);
    let row = book.get("a2").expect("an alarm");
    assert_eq!(
        (row.shelved_until, row.announced_at),
        (Some(at(1_900)), None)
    );
    // What nobody was told of need not be told to have ended.
    let (kind, _) = apply(&mut book, &change(2, 400, cleared())).expect("an event");
    assert_eq!(kind, "settled");
    let worse = What::Raised(figures(Severity::Critical, 500.0));
    let (kind, row) = apply(&mut book, &change(3, 500, worse)).expect("an event");
    assert_eq!((kind, row.state), ("raised", ActiveUnacked));
}

#[test]
fn getting_worse_than_what_was_shelved_breaks_the_shelf() {
    let mut book = AlarmBook::default();
    apply(&mut book, &change(1, 10, raised(401.0)));
    act(&mut book, "a1", Verb::Shelve).expect("shelved");
    let minor = What::Deescalated(figures(Severity::Minor, 390.0));
    let major = What::Escalated(figures(Severity::Major, 410.0));
    let critical = What::Escalated(figures(Severity::Critical, 500.0));
    for (what, expected) in [
        (minor, Shelved),
        (major, Shelved),
        (critical, ActiveUnacked),
    ] {
        let (_, row) = apply(&mut book, &change(1, 300, what)).expect("an event");
        assert_eq!(row.state, expected, "{what:?}");
    }
    assert_eq!(book.get("a1").and_then(|row| row.shelved_until), None);
}

#[test]
fn out_of_service_lasts_for_every_further_episode_until_in_service() {
    let mut book = AlarmBook::default();
    apply(&mut book, &change(1, 10, raised(401.0)));
    assert_eq!(act(&mut book, "a1", Verb::OutOfService), Ok(OutOfService));
    apply(&mut book, &change(1, 200, cleared()));
    assert_eq!(state_of(&book), OutOfService);
    let (kind, row) = apply(&mut book, &change(2, 300, raised(402.0))).expect("an event");
    assert_eq!((kind, row.state), ("out_of_service", OutOfService));
    assert_eq!(row.announced_at, None);
    assert_eq!(book.rows().count(), 1);
    // A day later it is still out of service.
    assert_eq!(pass(&mut book, 200_000, &Told::default()), []);
    assert_eq!(act(&mut book, "a2", Verb::InService), Ok(ActiveUnacked));
    let row = book.get("a2").expect("an alarm");
    assert_eq!(row.announced_at, Some(at(100)));
}

#[test]
fn a_latching_alarm_stays_until_it_is_reset() {
    let device = device();
    let latching = Facts {
        latching: true,
        ..facts(&device)
    };
    for (ack, latched) in [(false, LatchedUnacked), (true, LatchedAcked)] {
        let mut book = AlarmBook::default();
        let mut out = Vec::new();
        let raise = change(1, 10, raised(401.0));
        book.apply(&raise, Some(&latching), &Told::default(), &mut out);
        if ack {
            act(&mut book, "a1", Verb::Ack).expect("acked");
        }
        let refused = ActError::Impossible {
            state: if ack { ActiveAcked } else { ActiveUnacked },
            verb: Verb::Reset,
        };
        assert_eq!(act(&mut book, "a1", Verb::Reset), Err(refused));
        let (kind, row) = apply(&mut book, &change(1, 20, cleared())).expect("an event");
        assert_eq!((kind, row.state, row.active), ("cleared", latched, false));
        assert_eq!(act(&mut book, "a1", Verb::Reset), Ok(Normal));
    }
}

#[test]
fn an_alarm_is_assigned_to_whoever_is_named_or_takes_it() {
    let mut book = AlarmBook::default();
    apply(&mut book, &change(1, 10, raised(401.0)));
    let row = take(&mut book, "a1", Action::new(Verb::Assign, "li.na")).expect("assigned");
    assert_eq!(row.owner.as_deref(), Some("li.na"));
    let to_wang = Action {
        owner: Some("wang.wei"),
        ..Action::new(Verb::Assign, "li.na")
    };
    let row = take(&mut book, "a1", to_wang).expect("assigned");
    assert_eq!(row.owner.as_deref(), Some("wang.wei"));
    let row = take(&mut book, "a1", complete(Verb::FalseAlarm)).expect("a verdict");
    assert_eq!(row.verdict.as_deref(), Some("false_alarm"));
    assert_eq!(
        (row.state, row.owner.as_deref()),
        (ActiveAcked, Some("wang.wei"))
    );
}

#[test]
fn a_device_with_a_fast_clock_ends_nobody_elses_shelf() {
    let mut book = AlarmBook::default();
    apply(&mut book, &change(1, 10, raised(450.0)));
    assert_eq!(act(&mut book, "a1", Verb::Shelve), Ok(Shelved));
    let until = book.get("a1").and_then(|row| row.shelved_until);
    let until = until.expect("a shelf has an end");
    // Another alarm says that it began after that end, but it is not so late yet.
    let ahead = Change {
        at: until.plus_s(60),
        ..change(2, 0, raised(460.0))
    };
    let around = Told {
        now: Some(until.plus_s(-30)),
        ..Told::default()
    };
    let mut other = device();
    other.id = DeviceId::new("gas-2").expect("an id");
    book.apply(&ahead, Some(&facts(&other)), &around, &mut Vec::new());
    assert_eq!(state_of(&book), Shelved);
    let announced = book.get("a2").and_then(|row| row.announced_at);
    assert_eq!(announced, Some(until.plus_s(-30)));
}

#[test]
fn what_is_over_can_still_be_called_a_false_alarm() {
    let mut book = book_in(Normal, false);
    assert_eq!(act(&mut book, "a1", Verb::FalseAlarm), Ok(Normal));
}
