//! Tests of the latches on their own.

use super::{Latch, Level, Limits};
use crate::kind::Step;
use model::{Severity, Timestamp};

fn limits(levels: &[(Severity, f64)]) -> Limits {
    Limits {
        levels: levels
            .iter()
            .map(|(severity, above)| Level {
                severity: *severity,
                above: Some(*above),
                below: None,
            })
            .collect(),
        deadband: 0.0,
        on_delay_s: 0,
        off_delay_s: 0,
    }
}

fn name(step: Step) -> &'static str {
    match step {
        Step::Quiet => "quiet",
        Step::Updated(_) => "updated",
        Step::Raised(_) => "raised",
        Step::Escalated(_) => "escalated",
        Step::Deescalated(_) => "deescalated",
        Step::Cleared(_) | Step::Closed(_) => "cleared",
    }
}

#[test]
fn exactly_at_the_limit_is_beyond_it_only_for_a_signal_that_reaches() {
    let limits = limits(&[(Severity::Minor, 20.0)]);
    let mut latch = Latch::default();
    assert_eq!(name(latch.step(limits.gauge(), 0, 20.0)), "quiet");
    let reaching = limits.gauge().reaching();
    assert_eq!(name(latch.step(reaching, 0, 20.0)), "raised");
    assert_eq!(name(latch.step(reaching, 1000, 20.0)), "updated");
    assert_eq!(name(latch.step(reaching, 2000, 19.9)), "cleared");
    assert!(latch.is_plain());
}

#[test]
fn a_factor_moves_the_limits_but_not_the_deadband() {
    let limits = Limits {
        deadband: 2.0,
        ..limits(&[(Severity::Minor, 1.0), (Severity::Major, 1.5)])
    };
    let gauge = limits.gauge().times(20.0);
    let mut latch = Latch::default();
    assert_eq!(name(latch.step(gauge, 0, 20.0)), "quiet");
    let Step::Raised(figures) = latch.step(gauge, 1, 21.0) else {
        panic!("over 1 x 20");
    };
    assert_eq!((figures.value, figures.limit), (Some(21.0), Some(20.0)));
    let Step::Escalated(figures) = latch.step(gauge, 2, 31.0) else {
        panic!("over 1.5 x 20");
    };
    assert_eq!((figures.limit, figures.peak), (Some(30.0), Some(31.0)));
    // Under 1.5 x 20 - 2 = 28, not under 1 x 20 - 2 = 18.
    assert_eq!(name(latch.step(gauge, 3, 18.0)), "deescalated");
    assert_eq!(name(latch.step(gauge, 4, 17.9)), "cleared");
}

#[test]
fn an_unknown_signal_neither_raises_nor_clears() {
    let limits = Limits {
        on_delay_s: 10,
        off_delay_s: 10,
        ..limits(&[(Severity::Minor, 5.0)])
    };
    let gauge = limits.gauge();
    let mut latch = Latch::default();
    latch.step(gauge, 0, 6.0);
    assert_eq!(latch.deadline(&limits), Some(10_000));
    latch.suspend();
    assert_eq!(latch.deadline(&limits), None);
    assert!(latch.is_plain());

    latch.step(gauge, 20_000, 6.0);
    assert_eq!(name(latch.fire(gauge, 30_000)), "raised");
    latch.step(gauge, 40_000, 4.0);
    assert_eq!(latch.deadline(&limits), Some(50_000));
    latch.suspend();
    assert_eq!(latch.deadline(&limits), None);
    assert!(latch.figures(gauge).is_some(), "still active");
    // Known again: the off-delay begins anew.
    latch.step(gauge, 60_000, 4.0);
    assert_eq!(latch.deadline(&limits), Some(70_000));
}

#[test]
fn only_readings_are_counted() {
    let limits = limits(&[(Severity::Minor, 5.0)]);
    let gauge = limits.gauge();
    let mut latch = Latch::default();
    latch.step(gauge, 0, 6.0);
    latch.step(gauge, 1000, 8.0);
    latch.reassess(gauge, 2000, 7.0);
    let figures = latch.figures(gauge).expect("active");
    assert_eq!(
        (figures.value, figures.peak, figures.count),
        (Some(7.0), Some(8.0), 2)
    );
}

#[test]
fn what_holds_at_the_opening_counts_from_there() {
    let limits = Limits {
        on_delay_s: 10,
        ..limits(&[(Severity::Minor, 5.0)])
    };
    let gauge = limits.gauge();
    let mut latch = Latch::default();
    latch.hold(gauge, 0, 9.0);
    latch.hold(gauge, 30_000, 7.0);
    assert_eq!(
        latch.deadline(&limits),
        None,
        "nothing runs while it is closed"
    );
    assert_eq!(name(latch.open(gauge, 60_000)), "quiet");
    assert_eq!(latch.deadline(&limits), Some(70_000));
    let since = latch.look(gauge).since.map(Timestamp::millis);
    assert_eq!(since, Some(60_000));
    let Step::Raised(figures) = latch.fire(gauge, 70_000) else {
        panic!("after the on-delay");
    };
    assert_eq!((figures.value, figures.peak), (Some(7.0), Some(7.0)));
    assert_eq!(name(latch.close(gauge, 80_000)), "cleared");
    // Still beyond at the next opening.
    assert_eq!(name(latch.open(gauge, 90_000)), "quiet");
    assert_eq!(latch.deadline(&limits), Some(100_000));
    latch.hold(gauge, 95_000, 4.0);
    assert!(latch.is_plain());
    assert_eq!(name(latch.open(gauge, 100_000)), "quiet");
}
