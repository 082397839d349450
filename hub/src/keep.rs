//! `cityhub backup` and `restore`: a copy of everything, and the way back.

use crate::{complain, say};
use access::AccessFile;
use anyhow::{Context, Result};
use clap::Args;
use hub::config::{Config, Loaded};
use sdk::Clock;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use store::{BackupPlan, Manifest, StoreError};

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The folder to make; it must not be there yet.
    target: PathBuf,
    /// Share the files of history with the data directory instead of copying them, where both are
    /// on one file system: their owner and rights are then shared too.
    #[arg(long)]
    link: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The folder of a backup.
    source: PathBuf,
    /// Check every file of the backup, and restore nothing.
    #[arg(long)]
    check: bool,
}

pub(crate) fn backup(loaded: &Loaded, args: &BackupArgs) -> Result<ExitCode> {
    let config = &loaded.config;
    // Sessions stay out: nobody may be signed in by a backup.
    let mut beside = vec![(
        "data/access.json".to_owned(),
        config.data_dir.join("access.json"),
    )];
    let file = loaded.file().map(Path::to_owned);
    beside.extend(file.map(|file| ("config/hub.toml".to_owned(), file)));
    let plan = BackupPlan {
        hub_version: env!("CARGO_PKG_VERSION").to_owned(),
        now: Clock::System.now(),
        link: args.link,
        beside,
    };
    let started = tokio::time::Instant::now();
    let made = store::backup(&config.data_dir, &args.target, &plan)
        .with_context(|| format!("back up {}", config.data_dir.display()))?;
    let seconds = started.elapsed().as_secs_f64();
    note(config, "backup", &args.target, &made)?;
    for problem in &made.problems {
        complain(problem);
    }
    say(&format!("{} in {seconds:.1} s", line(&made)))?;
    if made.problems.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    complain("the backup is whole, but what it is of was damaged: run `cityhub verify`");
    Ok(ExitCode::FAILURE)
}

pub(crate) fn restore(loaded: &Loaded, args: &RestoreArgs) -> Result<ExitCode> {
    let config = &loaded.config;
    let done = match args.check {
        true => store::check_backup(&args.source),
        false => store::restore(&args.source, &config.data_dir),
    };
    let made = match done {
        Ok(made) => made,
        Err(StoreError::Damaged(what)) => {
            complain(&format!(
                "cityhub: the backup {} is damaged: {what}",
                args.source.display()
            ));
            return Ok(ExitCode::FAILURE);
        }
        Err(error) => {
            let context = format!("restore {}", args.source.display());
            return Err(anyhow::Error::new(error).context(context));
        }
    };
    if args.check {
        return say(&format!("the backup is whole: {}", line(&made)));
    }
    note(config, "restore", &args.source, &made)?;
    say(&format!(
        "{} is restored: {}",
        config.data_dir.display(),
        line(&made)
    ))?;
    say("`cityhub verify` replays it before a hub runs on it")
}

/// Says what is in a backup.
fn line(made: &Manifest) -> String {
    let cut = &made.cut;
    format!(
        "commit {}, event {}, up to {}, {} readings stored, {} files, {} bytes, by {}",
        cut.commit,
        cut.event,
        cut.at,
        cut.ledger.stored,
        made.files.len(),
        made.bytes(),
        made.hub_version
    )
}

/// Leaves word for the audit trail.
fn note(config: &Config, action: &'static str, place: &Path, made: &Manifest) -> Result<()> {
    let settings = config.session.settings();
    let file = AccessFile::new(&config.data_dir, config.auth.hashes(), &settings);
    let place = place.canonicalize().unwrap_or_else(|_| place.to_owned());
    let detail = Map::from_iter([
        ("commit".to_owned(), json!(made.cut.commit)),
        ("event".to_owned(), json!(made.cut.event)),
        ("up_to".to_owned(), json!(made.cut.at)),
        ("bytes".to_owned(), json!(made.bytes())),
        ("made_at".to_owned(), json!(made.made_at)),
        (
            "audit_head".to_owned(),
            Value::from(made.cut.audit_head.as_str()),
        ),
    ]);
    file.note_done(action, &place.to_string_lossy(), detail)
        .with_context(|| format!("note the {action} for the audit trail"))
}
