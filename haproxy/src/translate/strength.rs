//! Versions, suites and resumption of TLS, as `bind`, `server` and the defaults in `global` say them.

use crate::{
    problem::Problem,
    remark::Fate,
    text::Word,
    weir::{Table, Value},
};

use super::words::{Words, wrong};

/// What Weir has of TLS 1.2, by OpenSSL's names.
const OLDER: [&str; 6] = [
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-CHACHA20-POLY1305",
];

/// What Weir has of TLS 1.3.
const NEWER: [&str; 3] = [
    "TLS_AES_256_GCM_SHA384",
    "TLS_AES_128_GCM_SHA256",
    "TLS_CHACHA20_POLY1305_SHA256",
];

/// What a line says, or the defaults before it.
#[derive(Debug, Clone, Default)]
pub struct Strength {
    least: Option<String>,
    most: Option<String>,
    older: Option<Vec<&'static str>>,
    newer: Option<Vec<&'static str>>,
    without_tickets: bool,
}

impl Strength {
    /// Reads one of the words that say how strong TLS is; `None` if it is none of them.
    pub fn option(&mut self, word: &Word, words: &mut Words<'_>) -> Result<Option<Fate>, Problem> {
        Ok(Some(match word.text.as_str() {
            "no-sslv3" | "no-tlsv10" | "no-tlsv11" | "tls-tickets" => Fate::Same,
            "no-tls-tickets" => {
                self.without_tickets = true;
                Fate::nearly(
                    "sessions are not taken up again by any means, not only without tickets",
                )
            }
            "no-tlsv12" => {
                self.least = Some("TLSv1.3".to_owned());
                Fate::Same
            }
            "no-tlsv13" => {
                self.most = Some("TLSv1.2".to_owned());
                Fate::Same
            }
            "force-tlsv12" => self.both("TLSv1.2"),
            "force-tlsv13" => self.both("TLSv1.3"),
            "force-sslv3" | "force-tlsv10" | "force-tlsv11" => {
                Fate::nearly("TLS begins with 1.2, so that is what is spoken")
            }
            "ssl-min-ver" => {
                let version = words.need("a version")?;
                match version.text.as_str() {
                    "TLSv1.2" => {
                        self.least = None;
                        Fate::Same
                    }
                    "TLSv1.3" => {
                        self.least = Some("TLSv1.3".to_owned());
                        Fate::Same
                    }
                    "SSLv3" | "TLSv1.0" | "TLSv1.1" => Fate::nearly("TLS begins with 1.2"),
                    other => return Err(wrong(version, format!("`{other}` is no version of TLS"))),
                }
            }
            "ssl-max-ver" => {
                let version = words.need("a version")?;
                match version.text.as_str() {
                    "TLSv1.2" => {
                        self.most = Some("TLSv1.2".to_owned());
                        Fate::Same
                    }
                    "TLSv1.3" => {
                        self.most = None;
                        Fate::Same
                    }
                    "SSLv3" | "TLSv1.0" | "TLSv1.1" => {
                        self.most = Some("TLSv1.2".to_owned());
                        Fate::nearly("TLS begins with 1.2, so that is what is spoken")
                    }
                    other => return Err(wrong(version, format!("`{other}` is no version of TLS"))),
                }
            }
            "ciphers" => suites(words, "ciphers", &OLDER, &mut self.older)?,
            "ciphersuites" => suites(words, "ciphersuites", &NEWER, &mut self.newer)?,
            "curves" | "ecdhe" | "sigalgs" | "client-sigalgs" => {
                words.need("a value")?;
                Fate::nearly(format!("`{}` are those of the library, rustls", word.text))
            }
            _ => return Ok(None),
        }))
    }

    fn both(&mut self, version: &str) -> Fate {
        self.least = (version == "TLSv1.3").then(|| version.to_owned());
        self.most = (version == "TLSv1.2").then(|| version.to_owned());
        Fate::Same
    }

    /// Says it in weir.toml's words.
    pub fn write(&self, table: &mut Table) {
        if let Some(least) = &self.least {
            table.set("min_version", least.as_str());
        }
        if let Some(most) = &self.most {
            table.set("max_version", most.as_str());
        }
        if self.older.is_some() || self.newer.is_some() {
            // The list is for both versions; what is not said of one is as it was.
            let newer = self.newer.as_deref().unwrap_or(&NEWER);
            let older = self.older.as_deref().unwrap_or(&OLDER);
            let all = newer.iter().chain(older).map(|name| Value::from(*name));
            table.set("ciphers", all.collect::<Vec<Value>>());
        }
    }

    /// The same, with what only a listener has.
    pub fn write_listener(&self, table: &mut Table) {
        self.write(table);
        if self.without_tickets {
            table.set("resumption", false);
        }
    }
}

/// Of a list in OpenSSL's form the suites that Weir has. What it means beyond names, such as `HIGH` or `!MD5`, is
/// about suites that Weir does not have.
fn suites(
    words: &mut Words<'_>,
    keyword: &str,
    known: &'static [&'static str],
    kept: &mut Option<Vec<&'static str>>,
) -> Result<Fate, Problem> {
    let list = words.need("a list of suites")?;
    let named: Vec<&str> = list
        .text
        .split(':')
        .filter(|name| !name.is_empty())
        .collect();
    let find = |name: &&str| known.iter().find(|known| *known == name).copied();
    let found: Vec<&'static str> = named.iter().filter_map(find).collect();
    let foreign = named.len() - found.len();
    let fate = match (found.len(), foreign) {
        (0, _) => Fate::nearly(format!(
            "none of these `{keyword}` is there: the library's own are used, which are all sound"
        )),
        (_, 0) => Fate::Same,
        (_, foreign) => Fate::nearly(format!(
            "{foreign} of these `{keyword}` are not there; the others are used"
        )),
    };
    *kept = (!found.is_empty() && found.len() < known.len()).then_some(found);
    Ok(fate)
}
