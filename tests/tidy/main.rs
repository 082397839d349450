//! Holds the house rules that no compiler checks: arrows, file sizes, opening sentences, names.

#[cfg(test)]
mod arrows;
#[cfg(test)]
mod book;
#[cfg(test)]
mod dashboards;
#[cfg(test)]
mod deploy;
#[cfg(test)]
mod generated;
#[cfg(test)]
mod sbom;
#[cfg(test)]
mod sources;
