//! Takes over what the maintenance thread has written: one small transaction, then one lock.

use crate::db::{delete_segment, insert_segment, put_meta, sqlite_error};
use crate::error::Result;
use crate::journal::Journal;
use crate::maintenance::Done;
use crate::retention::Past;
use crate::segment::Segment;
use crate::state_file::state_path;
use crate::view::{Horizon, Segments, Shared};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Segments that come and go.
#[derive(Debug)]
pub(crate) struct Swap {
    done: Done,
}

impl Swap {
    pub(crate) fn of(done: Done) -> Self {
        Self { done }
    }

    /// Changes the catalogue.
    pub(crate) fn write(&self, conn: &Connection, shared: &Shared) -> rusqlite::Result<()> {
        match &self.done {
            Done::Sealed {
                segments,
                state_id,
                sealed,
                stamp,
            } => {
                for row in segments {
                    insert_segment(conn, row)?;
                }
                put_meta(conn, "state_id", state_id)?;
                put_meta(conn, "sealed", sealed)?;
                put_meta(conn, "sealed_stamp", stamp)?;
            }
            Done::Merged { inputs, output } => {
                for input in inputs {
                    delete_segment(conn, input.row.id)?;
                }
                insert_segment(conn, output)?;
            }
            Done::Thinned {
                input,
                metrics,
                past,
                output,
            } => {
                delete_segment(conn, input.row.id)?;
                let mut looked_at = looked_at(shared, input);
                if let Some(output) = output {
                    insert_segment(conn, output)?;
                    looked_at.insert(output.id, past.clone());
                }
                let json = serde_json::to_string(&looked_at).expect("plain data is JSON");
                put_meta(conn, Past::KEY, json)?;
                let mut horizon = shared.view().horizon.clone();
                horizon.forget_metrics(input.row.day, metrics);
                put_meta(conn, Horizon::KEY, horizon.to_json())?;
                let gone = input.row.readings - output.map_or(0, |row| row.readings);
                let expired = shared.view().expired_readings + gone;
                put_meta(conn, "expired_readings", expired)?;
            }
        }
        put_meta(conn, "next_id", shared.next_id())
    }
}

/// What is known of the segments that are there, but for one that goes.
fn looked_at(shared: &Shared, gone: &Segment) -> BTreeMap<u64, Past> {
    let view = shared.view();
    let ids: HashSet<u64> = view.segments.all().map(|segment| segment.row.id).collect();
    let mut known = view.looked_at.clone();
    known.retain(|id, _| ids.contains(id) && *id != gone.row.id);
    known
}

impl Journal {
    /// Changes the catalogue in a transaction of its own.
    pub(crate) fn swap_alone(&mut self, swap: Swap) -> Result<()> {
        let failed = sqlite_error("changing the catalogue");
        let tx =
            Transaction::new(&mut self.conn, TransactionBehavior::Immediate).map_err(failed)?;
        swap.write(&tx, &self.shared).map_err(failed)?;
        tx.commit().map_err(failed)?;
        self.finish_swap(swap);
        Ok(())
    }

    /// Shows a changed catalogue to the readers. To be called after its commit.
    pub(crate) fn finish_swap(&mut self, swap: Swap) {
        match swap.done {
            Done::Sealed {
                segments,
                state_id,
                sealed,
                ..
            } => {
                let dir = self.shared.dir.clone();
                let added = segments
                    .into_iter()
                    .map(|row| Arc::new(Segment::new(&dir, row)));
                let frozen = self.replace_segments(&HashSet::new(), added, true);
                // Freeing the values takes a while and needs no lock.
                drop(frozen);
                self.sealed = sealed;
                self.is_sealing = false;
                if let Some(old) = self.state_id.replace(state_id) {
                    // A leftover is deleted at the next start.
                    drop(std::fs::remove_file(state_path(&dir, old)));
                }
            }
            Done::Merged { inputs, output } => {
                let gone = inputs.iter().map(|input| input.row.id).collect();
                let output = Arc::new(Segment::new(&self.shared.dir, output));
                drop(self.replace_segments(&gone, std::iter::once(output), false));
                for input in inputs {
                    input.retire();
                }
            }
            Done::Thinned {
                input,
                metrics,
                past,
                output,
            } => {
                let readings = input.row.readings - output.map_or(0, |row| row.readings);
                let day = input.row.day;
                let mut looked_at = looked_at(&self.shared, &input);
                looked_at.extend(output.map(|row| (row.id, past)));
                let output = output.map(|row| Arc::new(Segment::new(&self.shared.dir, row)));
                let gone = HashSet::from([input.row.id]);
                drop(self.replace_segments(&gone, output.into_iter(), false));
                let mut view = self.shared.view_mut();
                view.looked_at = looked_at;
                view.horizon.forget_metrics(day, &metrics);
                view.expired_readings += readings;
                drop(view);
                tracing::info!(day, readings, "metrics past their age are gone");
                input.retire();
            }
        }
    }

    /// Replaces segments in one step, so that no reader sees a value twice or not at all.
    pub(crate) fn replace_segments(
        &self,
        gone: &HashSet<u64>,
        added: impl Iterator<Item = Arc<Segment>>,
        is_sealed: bool,
    ) -> Option<Arc<crate::view::Frozen>> {
        let kept: Vec<Arc<Segment>> = self
            .shared
            .view()
            .segments
            .all()
            .filter(|segment| !gone.contains(&segment.row.id))
            .cloned()
            .chain(added)
            .collect();
        let segments = Arc::new(Segments::of(kept));
        let mut view = self.shared.view_mut();
        view.segments = segments;
        if is_sealed { view.frozen.take() } else { None }
    }
}
