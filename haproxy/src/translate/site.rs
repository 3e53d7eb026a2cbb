//! What `global` says for everything else: where files are, and how strong TLS is.

use std::{collections::BTreeSet, path::Path};

use crate::{problem::Problem, remark::Fate, text::Line};

use super::{
    Translator,
    draft::keyword,
    strength::Strength,
    words::{Words, wrong},
};

/// Where files are looked for, and the defaults of TLS.
#[derive(Debug, Default)]
pub struct Site {
    /// Where the file itself is, as it was named.
    pub folder: String,
    crt_base: Option<String>,
    ca_base: Option<String>,
    /// Where relative paths begin, if that is said.
    pub start: Option<String>,
    /// Of listeners and of servers.
    pub listeners: Strength,
    pub servers: Strength,
    /// Paths that begin wherever HAProxy is started.
    relative: BTreeSet<String>,
}

impl Site {
    /// What is so before `global` has been read.
    pub fn in_folder_of(file: &str) -> Self {
        let folder = Path::new(file).parent().unwrap_or(Path::new(""));
        Self {
            folder: match folder.to_string_lossy().as_ref() {
                "" => ".".to_owned(),
                folder => folder.to_owned(),
            },
            ..Self::default()
        }
    }

    /// The path of a file of any kind.
    pub fn file(&mut self, text: &str) -> String {
        let from = self.start.clone();
        self.path(from, text)
    }

    /// The path of a certificate.
    pub fn certificate(&mut self, text: &str) -> String {
        let from = self.crt_base.clone().or_else(|| self.start.clone());
        self.path(from, text)
    }

    /// The path of certificates of authorities, or of what they take back.
    pub fn authority(&mut self, text: &str) -> String {
        let from = self.ca_base.clone().or_else(|| self.start.clone());
        self.path(from, text)
    }

    fn path(&mut self, from: Option<String>, text: &str) -> String {
        let path = match from {
            Some(from) if !text.starts_with('/') => {
                format!("{}/{text}", from.trim_end_matches('/'))
            }
            _ => text.to_owned(),
        };
        if !path.starts_with('/') {
            self.relative.insert(path.clone());
        }
        path
    }

    /// `crt-base`, `ca-base` or `default-path`; `None` if it is another directive.
    pub fn directive(&mut self, line: &Line) -> Result<Option<Fate>, Problem> {
        let mut words = Words::of(line);
        Ok(Some(match keyword(line)[0] {
            "crt-base" => {
                self.crt_base = Some(words.need("a folder")?.text.clone());
                Fate::Same
            }
            "ca-base" => {
                self.ca_base = Some(words.need("a folder")?.text.clone());
                Fate::Same
            }
            "default-path" => {
                let how = words.need("`current`, `config`, `parent` or `origin`")?;
                self.start = match how.text.as_str() {
                    "current" => None,
                    "config" => Some(self.folder.clone()),
                    "parent" => Some(format!("{}/..", self.folder)),
                    "origin" => Some(words.need("a folder")?.text.clone()),
                    other => {
                        let problem =
                            wrong(how, format!("`{other}` is no place for paths to start"));
                        return Err(problem.hint("these are current, config, parent and origin"));
                    }
                };
                Fate::Same
            }
            "ssl-default-bind-options"
            | "ssl-default-bind-ciphers"
            | "ssl-default-bind-ciphersuites" => strength(line, &mut self.listeners)?,
            "ssl-default-server-options"
            | "ssl-default-server-ciphers"
            | "ssl-default-server-ciphersuites" => strength(line, &mut self.servers)?,
            _ => return Ok(None),
        }))
    }
}

/// `ssl-default-bind-options ssl-min-ver TLSv1.2 …` and its like.
fn strength(line: &Line, strength: &mut Strength) -> Result<Fate, Problem> {
    let name = &line.words[0];
    let mut words = Words::of(line);
    if let Some(which) = name
        .text
        .rsplit('-')
        .next()
        .filter(|which| *which != "options")
    {
        let mut named = name.clone();
        which.clone_into(&mut named.text);
        let fate = strength.option(&named, &mut words)?;
        words.end()?;
        return Ok(fate.unwrap_or(Fate::Same));
    }
    let mut all = Fate::Same;
    while let Some(word) = words.next() {
        all = all.and(match strength.option(word, &mut words)? {
            Some(fate) => fate,
            None if matches!(
                word.text.as_str(),
                "prefer-client-ciphers" | "strict-sni" | "tls-tickets"
            ) =>
            {
                Fate::Same
            }
            None => {
                let message = format!("unknown option `{}` of `{}`", word.text, name.text);
                return Err(wrong(word, message));
            }
        });
    }
    Ok(all)
}

impl Translator<'_> {
    /// The lines with paths that mean another file if weir.toml lies elsewhere than where HAProxy is started.
    pub(super) fn relative_paths(&mut self) -> Vec<crate::Remark> {
        let mut paths = std::mem::take(&mut self.site.relative);
        paths.extend(self.maps.files().filter(|file| !file.starts_with('/')));
        if paths.is_empty() {
            return Vec::new();
        }
        let file = self.file;
        let lines = file.sections.iter().flat_map(|section| &section.directives);
        let mut remarks = Vec::new();
        for line in lines {
            let named = |path: &&String| {
                let name = Path::new(path).file_name();
                let name = name.map(|name| name.to_string_lossy());
                name.is_some_and(|name| line.source.contains(name.as_ref()))
            };
            if let Some(path) = paths.iter().find(named) {
                remarks.push(crate::Remark {
                    line: line.number,
                    directive: line.source.clone(),
                    fate: Fate::nearly(format!(
                        "`{path}` starts at weir.toml's folder; HAProxy's starts where it is started"
                    )),
                });
            }
        }
        remarks
    }
}
