//! Tests of reading lists of devices.
