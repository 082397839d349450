//! The store as the hub uses it: write, read, crash, open again.

#[cfg(test)]
mod ages;
#[cfg(test)]
mod backup;
#[cfg(test)]
mod cases;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod history;
#[cfg(test)]
mod kit;
#[cfg(test)]
mod law;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod onward;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod tables;
