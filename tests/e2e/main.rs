//! End to end: a module per story, each against a hub of its own.

#[cfg(test)]
mod access;
#[cfg(test)]
mod alarms;
#[cfg(test)]
mod approval;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod backup;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod bikelock;
#[cfg(test)]
mod camera_probe;
#[cfg(test)]
mod canary;
#[cfg(test)]
mod cap;
#[cfg(test)]
mod case_table;
#[cfg(test)]
mod cases;
#[cfg(test)]
mod clients;
#[cfg(test)]
mod coap;
#[cfg(test)]
mod codes;
#[cfg(test)]
mod commands;
#[cfg(test)]
mod crash;
#[cfg(test)]
#[cfg(test)]
mod delivery;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod duplicates;
#[cfg(test)]
mod export;
#[cfg(test)]
mod fault;
#[cfg(test)]
mod figures;
#[cfg(test)]
mod files;
#[cfg(test)]
mod formats;
#[cfg(test)]
mod gb26875;
#[cfg(test)]
mod gb28181;
#[cfg(test)]
mod gbfs;
#[cfg(test)]
mod health;
#[cfg(test)]
mod history;
#[cfg(test)]
mod hj212;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod jt808;
#[cfg(test)]
mod kpi;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod mirror;
#[cfg(test)]
mod modbus;
#[cfg(test)]
mod path;
#[cfg(test)]
mod payloads;
#[cfg(test)]
mod pressure_frame;
#[cfg(test)]
mod push;
#[cfg(test)]
mod reload;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod service;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod sewage;
#[cfg(test)]
mod simulate;
#[cfg(test)]
mod sparkplug;
#[cfg(test)]
mod storage;
#[cfg(test)]
mod store;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod verbs;
#[cfg(test)]
mod why;
