//! `cityhub admin`: users and tokens, beside a running hub or before its first start.

mod prompt;

use crate::{EXIT_CONFIG, complain, say};
use access::{AccessError, AccessFile, NewUser, UserChange, UserRow};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use hub::config::Config;
use sdk::Role;
use std::process::ExitCode;

#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// People who sign in with a password.
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
    /// Tokens of programs and people without a browser.
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Lets somebody in; the password is asked for, or is the first line of stdin.
    Add(AddUser),
    /// Lists who may sign in.
    List,
    /// Changes role, shown name, or whether somebody may sign in.
    Change(ChangeUser),
    /// Gives somebody another password; all their sessions end.
    Password {
        name: String,
        /// They must change it when they sign in next.
        #[arg(long)]
        temporary: bool,
    },
    /// Lets somebody who was locked out try again.
    Unlock { name: String },
    /// Lets somebody in no more, at once.
    Remove { name: String },
}

#[derive(Debug, Args)]
pub(crate) struct AddUser {
    name: String,
    /// viewer, officer, supervisor, engineer, admin, auditor or platform.
    #[arg(long, value_parser = parse_role)]
    role: Role,
    /// What people call them.
    #[arg(long, value_name = "NAME", default_value = "")]
    display_name: String,
    /// They must change the password when they sign in first.
    #[arg(long)]
    temporary: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ChangeUser {
    name: String,
    /// viewer, officer, supervisor, engineer, admin, auditor or platform.
    #[arg(long, value_parser = parse_role)]
    role: Option<Role>,
    /// What people call them.
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// Whether they may sign in.
    #[arg(long, value_name = "true|false")]
    enabled: Option<bool>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Makes a token and prints it once.
    Add {
        name: String,
        /// viewer, officer, supervisor, engineer, admin, auditor or platform.
        #[arg(long, value_parser = parse_role)]
        role: Role,
        /// Days after which it lets nobody in any more; for ever unless said.
        #[arg(long, value_name = "DAYS")]
        expires_d: Option<u32>,
    },
    /// Lists the tokens by name.
    List,
    /// Takes a token away, at once.
    Remove { name: String },
}

fn parse_role(name: &str) -> Result<Role, String> {
    Role::parse(name).ok_or_else(|| {
        let known: Vec<&str> = Role::ALL.into_iter().map(Role::name).collect();
        format!("unknown role; known: {}", known.join(", "))
    })
}

/// Carries out one of them. A wrong name or password is bad usage.
pub(crate) fn carry_out(config: &Config, command: AdminCommand) -> Result<ExitCode> {
    let settings = config.session.settings();
    let file = AccessFile::new(&config.data_dir, config.auth.hashes(), &settings);
    let done = match command {
        AdminCommand::User { command } => user(&file, command),
        AdminCommand::Token { command } => token(&file, command),
    };
    let error = match done {
        Ok(said) => return say(&said),
        Err(error) => error,
    };
    match error.downcast_ref() {
        Some(AccessError::Invalid { .. }) => {
            complain(&format!("cityhub: {error:#}"));
            Ok(ExitCode::from(EXIT_CONFIG))
        }
        _ => Err(error),
    }
}

fn user(file: &AccessFile, command: UserCommand) -> Result<String> {
    match command {
        UserCommand::Add(user) => {
            let user = NewUser {
                password: prompt::password(&user.name)?,
                name: user.name,
                display_name: user.display_name,
                role: user.role,
                must_change_password: user.temporary,
                enabled: true,
            };
            file.add_user(None, &user)?;
            let (name, role) = (&user.name, user.role.name());
            Ok(format!("user `{name}` may sign in as {role}"))
        }
        UserCommand::List => {
            let rows = file.users()?;
            let lines: Vec<String> = rows.iter().map(line).collect();
            Ok(lines.join("\n"))
        }
        UserCommand::Change(user) => {
            let change = UserChange {
                display_name: user.display_name,
                role: user.role,
                enabled: user.enabled,
                must_change_password: None,
            };
            file.change_user(None, &user.name, &change)?;
            Ok(format!("user `{}` is changed", user.name))
        }
        UserCommand::Password { name, temporary } => {
            let password = prompt::password(&name)?;
            file.set_password(None, &name, &password, temporary)?;
            Ok(format!("user `{name}` has another password"))
        }
        UserCommand::Unlock { name } => {
            file.unlock_user(None, &name)?;
            Ok(format!("user `{name}` may try again"))
        }
        UserCommand::Remove { name } => {
            file.remove_user(None, &name)?;
            Ok(format!("user `{name}` is gone"))
        }
    }
}

fn line(row: &UserRow) -> String {
    let state = if row.enabled { "" } else { ", may not sign in" };
    let (name, role, shown) = (&row.name, row.role.name(), &row.display_name);
    format!("{name}\t{role}\t{shown}{state}")
}

fn token(file: &AccessFile, command: TokenCommand) -> Result<String> {
    match command {
        TokenCommand::Add {
            name,
            role,
            expires_d,
        } => {
            let end = |days| sdk::Clock::System.now().plus_s(i64::from(days) * 86_400);
            let terms = (role, expires_d.map(end));
            file.add_token(None, &name, terms).context("add the token")
        }
        TokenCommand::List => {
            let rows = file.tokens()?;
            let lines = rows.iter().map(|row| {
                let place = if row.configured {
                    "\tof the configuration"
                } else {
                    ""
                };
                let end = row.expires_at;
                let end = end.map_or_else(String::new, |at| format!("\tuntil {at}"));
                format!("{}\t{}{place}{end}", row.name, row.role.name())
            });
            Ok(lines.collect::<Vec<_>>().join("\n"))
        }
        TokenCommand::Remove { name } => {
            file.remove_token(None, &name)?;
            Ok(format!("token `{name}` is gone"))
        }
    }
}
