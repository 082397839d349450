//! Tests of reading and writing rules.
