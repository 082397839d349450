//! Prints the figures of the hub beside those of a bare broker fed by the same load.

fn main() {}
