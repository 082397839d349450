//! Finds the line and the key of a mistake in a TOML text.

/// Counts the line, from 1, on which byte `offset` stands.
pub(crate) fn line_at(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}

/// Tells the full key (`table.key`) of the line on which byte `offset` stands.
pub(crate) fn key_at(text: &str, offset: usize) -> Option<String> {
    let wanted = line_at(text, offset);
    let mut found = None;
    for (line, table, key) in keys(text) {
        if line > wanted {
            break;
        }
        if line == wanted {
            found = Some(join(&table, key.as_deref()));
        }
    }
    found
}

/// Finds the line of `a.b.key`, or of the nearest table above it that the text has.
pub fn line_of(text: &str, path: &str) -> Option<usize> {
    let mut wanted = path;
    loop {
        let hit = keys(text).find(|(_, table, key)| join(table, key.as_deref()) == wanted);
        if let Some((line, _, _)) = hit {
            return Some(line);
        }
        wanted = wanted.rsplit_once('.')?.0;
    }
}

/// Finds the variable that sets `a.b.key`. The layer of variables knows no case.
pub(crate) fn variable_of(key: &str, names: impl IntoIterator<Item = String>) -> Option<String> {
    let wanted = format!("CITYHUB__{}", key.replace('.', "__"));
    let is_it = |name: &String| name.eq_ignore_ascii_case(&wanted);
    names.into_iter().find(is_it)
}

/// Takes the key out of a message: what stands behind `for key`, else the first word in back quotes.
pub(crate) fn quoted(message: &str) -> Option<&str> {
    let named = message.split_once("for key `");
    let (_, rest) = named.or_else(|| message.split_once('`'))?;
    rest.split_once('`').map(|(word, _)| word)
}

fn join(table: &str, key: Option<&str>) -> String {
    match (table, key) {
        ("", Some(key)) => key.to_owned(),
        (table, Some(key)) => format!("{table}.{key}"),
        (table, None) => table.to_owned(),
    }
}

/// Walks over tables and keys: (line, table, key).
fn keys(text: &str) -> impl Iterator<Item = (usize, String, Option<String>)> {
    let mut table = String::new();
    text.lines().zip(1..).filter_map(move |(line, number)| {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            let header = header.split(']').next().unwrap_or_default();
            table = plain(header);
            return Some((number, table.clone(), None));
        }
        if line.starts_with('#') {
            return None;
        }
        let (key, _) = line.split_once('=')?;
        Some((number, table.clone(), Some(plain(key))))
    })
}

/// Strips the white space and quotes of a dotted key.
fn plain(key: &str) -> String {
    let parts = key
        .split('.')
        .map(|part| part.trim().trim_matches(['"', '\'']));
    parts.collect::<Vec<_>>().join(".")
}
