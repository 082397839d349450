//! The store as the hub uses it: write, read, crash, open again.

mod crash;
mod history;
mod kit;
mod law;
mod ledger;
mod replay;
mod tables;
