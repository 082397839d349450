//! `cityhub doctor` on the command line.

use crate::{EXIT_CONFIG, complain, say};
use anyhow::{Context, Result};
use clap::Args;
use hub::doctor::{self, Lang, Machine, Subject};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// `en` or `zh-CN`; otherwise as the locale says.
    #[arg(long, value_name = "LANG", value_parser = Lang::parse)]
    lang: Option<Lang>,
    /// A file with a token for the running hub; otherwise one of the configuration is taken.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Print the table of all checks, and look at nothing.
    #[arg(long)]
    list: bool,
}

pub(crate) fn carry_out(
    config: Option<PathBuf>,
    data_dir: Option<PathBuf>,
    args: &DoctorArgs,
) -> Result<ExitCode> {
    let lang = args.lang.unwrap_or_else(Lang::of_locale);
    if args.list {
        return say(doctor::list(lang).trim_end());
    }
    let read = |file: &PathBuf| {
        let text = std::fs::read_to_string(file);
        text.map(|text| text.trim().to_owned())
            .with_context(|| file.display().to_string())
    };
    let token = match args.token_file.as_ref().map(read).transpose() {
        Ok(token) => token,
        Err(error) => {
            complain(&format!("cityhub: --token-file: {error:#}"));
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
    };
    let subject = Subject {
        config,
        data_dir,
        token,
    };
    let machine = Machine::this(sdk::Clock::System.now());
    let report = doctor::examine(&subject, &machine);
    match args.json {
        true => say(&serde_json::to_string_pretty(&report.json(lang))?)?,
        false => say(&report.text(lang))?,
    };
    Ok(ExitCode::from(report.exit_code()))
}
