//! Tests of `rate` on its own.
