//! Tests of the API: the real router and the real store, with a small writer in between.

mod access;
mod alarms;
mod backtest;
mod cases;
mod commands;
mod composites;
mod desk;
mod devices;
mod events;
mod handover;
mod history;
mod kit;
mod map;
mod openapi;
mod people;
mod reports;
mod rules;
mod sessions;
mod versions;
mod why;

pub(crate) use kit::{START_MS, alarm};
