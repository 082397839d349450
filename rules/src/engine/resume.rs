//! The hub did not run for a while: nobody could be heard, so that nobody was silent.

use super::Engine;
use crate::Change;
use crate::kind::Feed;
use model::Timestamp;

impl Engine {
    /// Tells that the hub ran until `since` and runs again from `at` on; to be called before
    /// anything else happens at `at`.
    ///
    /// No countdown to a silence ends in between: each goes on where it was, or begins anew if the
    /// hub was away for longer than the lateness, for then nothing that was sent meanwhile says
    /// when. Alarms that are active stay, and so do the timers of all other rules.
    pub fn resume(&mut self, since: Timestamp, at: Timestamp, out: &mut Vec<Change>) {
        self.advance(since, out);
        let gap = (self.pulse.now_ms, at.millis());
        let gap_ms = gap.1.saturating_sub(gap.0);
        // An engine that was told nothing yet has nobody to miss.
        if gap_ms <= 0 || gap.0 == i64::MIN {
            return;
        }
        let begins_anew = gap_ms > self.pulse.lateness_ms;
        self.pulse.resumed_ms = gap.1;
        for lane in self.lanes.iter_mut() {
            if let Some(Some(entry)) = self.rules.get(lane.slot as usize)
                && entry.condition().feed() == Feed::Life
            {
                // Its deadline only moves away: it is armed again when it is woken too early.
                lane.resume(entry, gap, begins_anew);
            }
        }
    }
}
