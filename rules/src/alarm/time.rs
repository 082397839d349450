//! What happens to alarms by time alone: shelves end, suppressed ones return, old ones grow stale,
//! floods pass.

use super::cause::{is_heard_since, patience_ms};
use super::{AlarmBook, Around, BookEvent, Scene};
use model::{AlarmRow, AlarmState, Suppression, Timestamp};

impl AlarmBook {
    /// Does all that is due up to and including `to`, each at its own instant.
    ///
    /// To be called with the engine's changes up to `to` applied, and before what is received at
    /// `to`: devices on hold return here when their gateway has spoken.
    pub fn advance(&mut self, to: Timestamp, around: &dyn Around, out: &mut Vec<BookEvent>) {
        let mut scene = Scene {
            around,
            at: to,
            out,
        };
        self.run_until(to, &mut scene);
        for number in self.released(&scene) {
            scene.at = to;
            self.release(number, &mut scene);
        }
        self.chatter.advance(to);
        self.flood.forget(to);
    }

    /// Tells that the hub ran until `since` and runs again from `at` on, to be called before anything
    /// else happens at `at`: whoever would have returned meanwhile, behind its gateway, could not
    /// speak, and gets the time of its patience.
    pub fn resume(
        &mut self,
        (since, at): (Timestamp, Timestamp),
        around: &dyn Around,
        out: &mut Vec<BookEvent>,
    ) {
        let mut scene = Scene { around, at, out };
        self.run_until(since, &mut scene);
        scene.at = at;
        let is_meant = |row: &AlarmRow| {
            row.suppression == Some(Suppression::Gateway)
                && row.returns_at.is_some_and(|returns_at| returns_at <= at)
        };
        let waiting = self.rows.iter().filter(|(_, row)| is_meant(row));
        let waiting: Vec<u64> = waiting.map(|(number, _)| *number).collect();
        for number in waiting {
            if let Some(mut row) = self.take(number) {
                row.returns_at = Some(at.plus_ms(patience_ms(&row)));
                scene.note("waiting", &mut row, false);
                self.keep(number, row);
            }
        }
    }

    /// Tells when to call [`AlarmBook::advance`] next.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let timer = self.index.next().map(|(at, _)| at);
        [timer, self.flood.ends_at()].into_iter().flatten().min()
    }

    /// Tells whether there is something to do now.
    pub fn is_due(&self, now: Timestamp, around: &dyn Around) -> bool {
        let scene = Scene {
            around,
            at: now,
            out: &mut Vec::new(),
        };
        self.next_deadline().is_some_and(|at| at <= now) || !self.released(&scene).is_empty()
    }

    /// Finds the alarms on hold whose gateway has spoken.
    fn released(&self, scene: &Scene<'_>) -> Vec<u64> {
        let is_released = |number: &u64| {
            let row = self.rows.get(number);
            row.is_some_and(|row| {
                let gateway = row.parent.as_ref();
                gateway.is_some_and(|gateway| is_heard_since(row, gateway, scene))
            })
        };
        self.index.held().filter(is_released).collect()
    }

    /// Fires the timers up to and including `to`.
    pub(super) fn run_until(&mut self, to: Timestamp, scene: &mut Scene<'_>) {
        loop {
            let flood = self.flood.ends_at().filter(|at| *at <= to);
            let timer = self.index.next().filter(|(at, _)| *at <= to);
            match (flood, timer) {
                (None, None) => return,
                (Some(at), None) => self.end_flood(at, scene),
                (Some(at), Some((due_at, _))) if at <= due_at => self.end_flood(at, scene),
                (_, Some((due_at, number))) => {
                    scene.at = due_at;
                    self.fire(number, scene);
                }
            }
        }
    }

    fn end_flood(&mut self, at: Timestamp, scene: &mut Scene<'_>) {
        let ended = self.flood.advance(at);
        scene.out.extend(ended.map(BookEvent::Flood));
    }

    fn fire(&mut self, number: u64, scene: &mut Scene<'_>) {
        match self.rows.get(&number).map(|row| row.state) {
            Some(AlarmState::Shelved) => self.bring_back(number, "unshelved", scene),
            Some(AlarmState::Suppressed) => self.release(number, scene),
            _ => {
                if let Some(mut row) = self.take(number) {
                    row.stale = true;
                    scene.tell("stale", &mut row);
                    self.keep(number, row);
                }
            }
        }
    }
}
