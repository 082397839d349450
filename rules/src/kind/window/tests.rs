//! Tests of `window` on its own.
