//! Carries readings to a time-series server of the city's choice, and reads long ranges back from it.
//!
//! Never in the path of an acknowledgement: the journal is told nothing but how far a server has confirmed.

pub mod shape;
