//! Log-format texts: `https://%[req.hdr(host)]/%{+Q}r`.

use super::Sample;

/// A text with facts in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Format {
    pub parts: Vec<Part>,
    /// What stood in braces before each part, such as `+Q`; empty before texts.
    pub flags: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    Text(String),
    Sample(Sample),
    /// A log variable such as `%ci`, without the percent sign.
    Variable(String),
}

impl Format {
    /// Reads a text.
    ///
    /// # Errors
    /// What is wrong with it, for a message.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut flags = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            literal.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            if let Some(after) = after.strip_prefix('%') {
                literal.push('%');
                rest = after;
                continue;
            }
            // Flags such as `{+Q}` only change how a log line quotes.
            let (flagged, after) = match after.strip_prefix('{') {
                Some(flags) => flags.split_once('}').ok_or("`%{` without `}`")?,
                None => ("", after),
            };
            let (part, after) = match after.strip_prefix('[') {
                Some(inside) => {
                    let (sample, after) = Sample::parse_start(inside)?;
                    let after = after
                        .strip_prefix(']')
                        .ok_or_else(|| format!("`%[{sample}` without `]`"))?;
                    (Part::Sample(sample), after)
                }
                None => {
                    let end = after
                        .find(|c: char| !c.is_ascii_alphabetic())
                        .unwrap_or(after.len());
                    let (name, after) = longest_variable(&after[..end], after)?;
                    (Part::Variable(name.to_owned()), after)
                }
            };
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
                flags.push(String::new());
            }
            parts.push(part);
            flags.push(flagged.to_owned());
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
            flags.push(String::new());
        }
        Ok(Self { parts, flags })
    }
}

/// HAProxy 2.6's log variables.
const VARIABLES: [&str; 62] = [
    "B", "CC", "CS", "H", "HM", "HP", "HPO", "HQ", "HU", "HV", "ID", "ST", "T", "Ta", "Tc", "Td",
    "Th", "Ti", "Tl", "Tq", "Tr", "TR", "Ts", "Tt", "Tu", "Tw", "U", "ac", "b", "bc", "bi", "bp",
    "bq", "ci", "cp", "f", "fc", "fi", "fp", "ft", "hr", "hrl", "hs", "hsl", "lc", "ms", "o",
    "pid", "r", "rc", "rt", "s", "sc", "si", "sp", "sq", "sslc", "sslv", "t", "tr", "trg", "ts",
];

fn longest_variable<'a>(letters: &'a str, after: &'a str) -> Result<(&'a str, &'a str), String> {
    let known = VARIABLES
        .iter()
        .chain(&["trl", "tsc", "rc"])
        .filter(|name| letters.starts_with(**name));
    match known.max_by_key(|name| name.len()) {
        Some(name) => Ok(after.split_at(name.len())),
        None => Err(format!(
            "`%{letters}` is no log variable; write `%%` for a percent sign"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_facts_in_them() {
        let parts = Format::parse("https://%[req.hdr(host),field(1,:)]:8443%HU 100%%")
            .unwrap()
            .parts;
        assert_eq!(parts.len(), 5);
        assert_eq!(parts[0], Part::Text("https://".to_owned()));
        assert!(
            matches!(&parts[1], Part::Sample(sample) if sample.to_string() == "req.hdr(host),field(1,:)")
        );
        assert_eq!(parts[3], Part::Variable("HU".to_owned()));
        assert_eq!(parts[4], Part::Text(" 100%".to_owned()));
        assert_eq!(
            Format::parse("%{+Q}r").unwrap().parts,
            [Part::Variable("r".to_owned())]
        );
        for wrong in ["%[path", "%{+Q", "%[]", "100%", "%[path,]"] {
            assert!(Format::parse(wrong).is_err(), "{wrong}");
        }
    }
}
