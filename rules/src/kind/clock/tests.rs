//! Tests of `clock` on its own.
