//! Tests of `occupancy` on its own.
