//! Tests of `frozen` on its own.
