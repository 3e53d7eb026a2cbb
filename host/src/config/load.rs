//! From a file to a [`Config`]: the way through all sections, and TOML's own errors.

use std::{collections::HashSet, fs, ops::Range, path::Path, sync::Arc};

use toml::de::DeTable;
use toml_parser::{Source as TomlSource, lexer::TokenKind};

use super::{
    Config, ConfigError, ConfigErrors, Frontend,
    acme::read_issuer,
    backend::read_backends,
    bind::Listeners,
    cache::read_caches,
    conduct::check_tracks,
    counters::read_counters,
    error::{Finding, Findings, Source},
    frontend::read_frontends,
    log::read_logs,
    map::read_maps,
    plugin_use::Surroundings,
    process::{read_defaults, read_process},
    reach::read_resolvers,
    read::{Fields, Reader},
    sharing::read_sharing,
    value::shorten,
    why::read_why,
};

/// No configuration is as large as this.
const MOST_BYTES: u64 = 16 << 20;
/// Tables within tables within lists. The proxy's own keys need five.
const DEEPEST: usize = 60;
/// Up to here a file with a syntax error is searched for more of them.
const RECOVERY_BYTES: usize = 256 << 10;

/// Reads and checks a configuration file, and the error pages it names.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
    parse(path, &text_of(path)?)
}

/// The text of a file that a person wrote.
pub(super) fn text_of(path: &Path) -> Result<String, ConfigErrors> {
    let of_file = |message: String| ConfigErrors::from(ConfigError::of_file(path, message));
    let unreadable = |error: std::io::Error| of_file(format!("cannot be read: {error}"));

    let about = fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() {
        return Err(of_file("is not a regular file".to_owned()));
    }
    if about.len() > MOST_BYTES {
        return Err(of_file(too_large(about.len())));
    }
    let bytes = fs::read(path).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = memchr::memchr_iter(b'\n', &error.as_bytes()[..at]).count() + 1;
        of_file(format!(
            "is not UTF-8 text: byte {at}, on line {line}, has no meaning"
        ))
    })
}

fn too_large(bytes: u64) -> String {
    format!("has {bytes} bytes; a configuration has at most {MOST_BYTES}")
}

/// Checks `text` as if it stood in `file`, whose folder is where relative paths start.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub fn parse(file: &Path, text: &str) -> Result<Config, ConfigErrors> {
    let (config, warnings) = parse_with(file, text, |reader, tree| read(reader, file, text, tree))?;
    Ok(Config { warnings, ..config })
}

/// Reads `text` as TOML and its tree with `read`; what was found worth a warning comes along.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub(super) fn parse_with<T>(
    file: &Path,
    text: &str,
    read: impl FnOnce(&Reader<'_>, &DeTable<'_>) -> T,
) -> Result<(T, Vec<String>), ConfigErrors> {
    parse_from(&folder_of(file), file, text, read)
}

/// As [`parse_with`], with relative paths that start at `base`.
pub(super) fn parse_from<T>(
    base: &Path,
    file: &Path,
    text: &str,
    read: impl FnOnce(&Reader<'_>, &DeTable<'_>) -> T,
) -> Result<(T, Vec<String>), ConfigErrors> {
    if text.len() as u64 > MOST_BYTES {
        return Err(ConfigError::of_file(file, too_large(text.len() as u64)).into());
    }
    let source = Source::new(file, text);
    let tree = match syntax(text) {
        Ok(tree) => tree,
        Err(findings) => {
            return Err(findings
                .conclude(&source)
                .err()
                .unwrap_or_else(|| ConfigError::of_file(file, "is not TOML").into()));
        }
    };

    let reader = Reader::new(base);
    let read = read(&reader, &tree);
    let warnings = reader.into_findings().conclude(&source)?;
    Ok((read, warnings))
}

/// The folder in absolute form, so that a change of the working directory does not matter later.
pub(super) fn folder_of(file: &Path) -> std::path::PathBuf {
    let folder = file.parent().unwrap_or(Path::new(""));
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned())
}

/// Reads every section. What is wrong is in the reader's findings; then the result is not used.
fn read(reader: &Reader<'_>, file: &Path, text: &str, tree: &DeTable<'_>) -> Config {
    let mut top = Fields::top(reader, tree);
    let process = read_process(&mut top);
    let defaults = read_defaults(&mut top);
    let logs = read_logs(&mut top);
    let why = Arc::new(read_why(&mut top));
    let maps = read_maps(&mut top);
    let counters = read_counters(&mut top);
    let issuer = read_issuer(&mut top);
    let sharing = read_sharing(&mut top);
    let caches = read_caches(&mut top);
    let surroundings = Surroundings {
        sharing: &sharing,
        file,
        issuer: &issuer,
        source: Arc::from(text),
        defaults: &defaults,
        maps: top
            .texts_of("map", "name")
            .iter()
            .map(|(name, _)| *name)
            .collect(),
        caches: top
            .texts_of("cache", "name")
            .iter()
            .map(|(name, _)| *name)
            .collect(),
        counters: top
            .texts_of("counters", "name")
            .iter()
            .map(|(name, _)| *name)
            .collect(),
    };
    let resolvers = read_resolvers(&mut top);
    let backends = read_backends(&mut top, &surroundings, &resolvers);
    let servers: Vec<_> = backends
        .iter()
        .map(|backend| (backend.name.clone(), &backend.servers[..]))
        .collect();
    check_tracks(&top, &servers);
    let backend_names = top.texts_of("backend", "name");
    let listeners = Listeners::of(&process);
    let frontends = read_frontends(
        &mut top,
        &surroundings,
        &backend_names,
        &backends,
        listeners,
    );
    warn_of_unused_backends(reader, &frontends, &backend_names);
    top.finish(&[
        (
            "server",
            "servers belong to a backend: write `[[backend.server]]`",
        ),
        (
            "filter",
            "filters belong to a frontend or a backend: write `[[frontend.filter]]`",
        ),
        (
            "global",
            "what HAProxy has in `global` stands at the top of the file, without a heading",
        ),
        ("defaults", "write `[timeouts]` and `[limits]`"),
        ("bind", "addresses to listen on belong to a `[[frontend]]`"),
    ]);
    Config {
        file: std::path::absolute(file).unwrap_or_else(|_| file.to_owned()),
        process,
        logs,
        maps,
        counters,
        why,
        acme: issuer.into_acme(),
        caches,
        frontends,
        backends,
        sharing: Arc::new(sharing),
        warnings: Vec::new(),
    }
}

/// A backend may be named by any filter, so this is only known where there is none.
fn warn_of_unused_backends(
    reader: &Reader<'_>,
    frontends: &[Frontend],
    backends: &[(&str, Range<usize>)],
) {
    if frontends
        .iter()
        .any(|frontend| !frontend.filters.is_empty())
    {
        return;
    }
    let used: HashSet<&str> = frontends
        .iter()
        .filter_map(|frontend| frontend.default_backend.as_ref())
        .map(|name| name.as_str())
        .collect();
    for (name, span) in backends {
        if !used.contains(name) {
            reader.warning(
                span.clone(),
                format!("backend `{}` is never used", shorten(name)),
                "no frontend has it as `default_backend`, and there is no filter that could choose it",
            );
        }
    }
}

/// The file as a tree, or what keeps it from being one.
fn syntax(text: &str) -> Result<DeTable<'_>, Findings> {
    let mut findings = Findings::default();
    if let Some(span) = too_deep(text) {
        findings.error(Finding {
            span,
            message: format!("tables and lists are nested more than {DEEPEST} deep"),
            hint: None,
        });
        return Err(findings);
    }
    let first = match DeTable::parse(text) {
        Ok(tree) => return Ok(tree.into_inner()),
        Err(first) => first,
    };
    let errors = if text.len() <= RECOVERY_BYTES {
        DeTable::parse_recoverable(text).1
    } else {
        vec![first]
    };
    let mut errors: Vec<(Range<usize>, &str)> = errors
        .iter()
        .map(|error| (error.span().unwrap_or(0..0), error.message()))
        .collect();
    errors.sort_by_key(|(span, _)| span.start);
    let mut next_line = 0;
    for (span, message) in errors {
        // What follows on the same line is mostly the parser getting its bearings.
        if span.start < next_line {
            continue;
        }
        next_line = match memchr::memchr(b'\n', &text.as_bytes()[span.start.min(text.len())..]) {
            Some(length) => span.start + length + 1,
            None => text.len() + 1,
        };
        findings.error(Finding {
            hint: syntax_hint(text, span.clone(), message),
            span,
            message: message.to_owned(),
        });
    }
    Err(findings)
}

/// What would do, for the mistakes that people coming from other formats make.
fn syntax_hint(text: &str, span: Range<usize>, message: &str) -> Option<String> {
    if message.starts_with("duplicate key") {
        return Some("it has been given before; lists of tables are written `[[…]]`".to_owned());
    }
    if message.starts_with("string values must be quoted") {
        let word = text.get(span).filter(|word| word.len() <= 60)?;
        if word.is_empty() {
            return Some("write a value".to_owned());
        }
        return Some(format!("write \"{word}\""));
    }
    None
}

/// The first place where nesting gets deeper than is sound. The TOML parser limits brackets but not
/// dotted keys, and a tree that is deep enough overflows the stack when it is dropped.
fn too_deep(text: &str) -> Option<Range<usize>> {
    let mut enclosing: Vec<usize> = Vec::new();
    let mut outer = 0;
    let mut here = 0;
    for token in TomlSource::new(text).lex() {
        match token.kind() {
            TokenKind::Dot => here += 1,
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => {
                enclosing.push(here);
                outer += here + 1;
                here = 0;
            }
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                if let Some(dots) = enclosing.pop() {
                    outer -= dots + 1;
                    here = dots;
                }
            }
            TokenKind::Comma => here = 0,
            TokenKind::Newline if enclosing.is_empty() => here = 0,
            TokenKind::Newline
            | TokenKind::Equals
            | TokenKind::Whitespace
            | TokenKind::Comment
            | TokenKind::LiteralString
            | TokenKind::BasicString
            | TokenKind::MlLiteralString
            | TokenKind::MlBasicString
            | TokenKind::Atom
            | TokenKind::Eof => {}
        }
        if outer + here > DEEPEST {
            return Some(token.span().start()..token.span().end());
        }
    }
    None
}

/// The keys that reading `text` asks for, with the sections they stand in.
#[cfg(test)]
pub(super) fn read_for_keys(
    file: &Path,
    text: &str,
) -> std::collections::BTreeSet<(String, &'static str)> {
    let base = folder_of(file);
    let reader = Reader::new(&base);
    let tree = syntax(text).expect("the example is sound TOML");
    read(&reader, file, text, &tree);
    reader.asked.take()
}
