//! Tests of the alarm book.
