//! A recording as it is read.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use crate::telemetry::story::{RECORD_VERSION, RecordEnd, RecordHead, RecordLine, Story};

/// A recording.
#[derive(Debug)]
pub struct Recorded {
    pub head: RecordHead,
    pub exchanges: Vec<Story>,
    /// None if the recording was cut off.
    pub end: Option<RecordEnd>,
}

/// Why a file is no recording.
#[derive(Debug, thiserror::Error)]
pub enum BadRecord {
    #[error("{file}: can't be read")]
    Unreadable { file: String, source: io::Error },
    #[error("{file}:1: not a recording; `weir record` makes one")]
    NoHead { file: String },
    #[error(
        "{file}:1: a recording in form {found}, and this Weir reads form {RECORD_VERSION}; replay it with the Weir that recorded it"
    )]
    OtherVersion { file: String, found: u32 },
    #[error("{file}:{line}:{column}: {message}")]
    Line {
        file: String,
        line: usize,
        column: usize,
        message: String,
    },
}

/// Reads a recording. A last line that is not whole is what an interrupted recording leaves, and let pass.
pub fn load(path: &Path) -> Result<Recorded, BadRecord> {
    let file = path.display().to_string();
    let unreadable = |source| BadRecord::Unreadable {
        file: file.clone(),
        source,
    };
    let mut input = BufReader::new(File::open(path).map_err(unreadable)?);
    read(&mut input, &file)
}

fn read(input: &mut impl BufRead, file: &str) -> Result<Recorded, BadRecord> {
    let mut recorded: Option<Recorded> = None;
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        let read = input.read_until(b'\n', &mut text);
        let count = read.map_err(|source| BadRecord::Unreadable {
            file: file.to_owned(),
            source,
        })?;
        if count == 0 {
            break;
        }
        let parsed = match serde_json::from_slice(&text) {
            Ok(parsed) => parsed,
            Err(_) if line == 1 => break,
            Err(_) if text.last() != Some(&b'\n') => break,
            Err(error) => {
                return Err(BadRecord::Line {
                    file: file.to_owned(),
                    line,
                    column: error.column(),
                    message: error.to_string(),
                });
            }
        };
        match (parsed, &mut recorded) {
            (RecordLine::Record(head), _) if head.version != RECORD_VERSION => {
                return Err(BadRecord::OtherVersion {
                    file: file.to_owned(),
                    found: head.version,
                });
            }
            (RecordLine::Record(head), None) => {
                recorded = Some(Recorded {
                    head,
                    exchanges: Vec::new(),
                    end: None,
                });
            }
            (RecordLine::Exchange(story), Some(recorded)) => recorded.exchanges.push(*story),
            (RecordLine::End(end), Some(recorded)) => recorded.end = Some(end),
            (RecordLine::Record(_), Some(_)) => {
                return Err(BadRecord::Line {
                    file: file.to_owned(),
                    line,
                    column: 1,
                    message: "a second recording begins here; replay them one by one".to_owned(),
                });
            }
            (RecordLine::Exchange(_) | RecordLine::End(_), None) => break,
        }
    }
    recorded.ok_or_else(|| BadRecord::NoHead {
        file: file.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str =
        r#"{"record":{"version":1,"weir":"0.1.0","at":0,"share":"100%","masked":true,"uses":[]}}"#;

    fn told(text: &str) -> Result<Recorded, String> {
        read(&mut text.as_bytes(), "r.jsonl").map_err(|error| error.to_string())
    }

    #[test]
    fn an_interrupted_recording_is_one_without_an_end() {
        let recorded = told(&format!("{HEAD}\n{{\"exchange\":{{\"id\":\"4")).unwrap();
        assert!(recorded.exchanges.is_empty() && recorded.end.is_none());
        let whole = told(&format!(
            "{HEAD}\n{{\"end\":{{\"exchanges\":0,\"lost\":2}}}}\n"
        ))
        .unwrap();
        assert_eq!(whole.end.map(|end| end.lost), Some(2));
    }

    #[test]
    fn what_is_no_recording_is_said_to_be_none() {
        for text in [
            "",
            "hello\n",
            "{}\n",
            "{\"end\":{\"exchanges\":0,\"lost\":0}}\n",
        ] {
            let error = told(text).unwrap_err();
            assert!(
                error.contains("r.jsonl:1: not a recording"),
                "{text}: {error}"
            );
        }
        let later = HEAD.replace("\"version\":1", "\"version\":7");
        let error = told(&later).unwrap_err();
        assert!(
            error.contains("form 7, and this Weir reads form 1"),
            "{error}"
        );
    }

    #[test]
    fn a_broken_line_is_shown_where_it_stands() {
        let error = told(&format!("{HEAD}\n{{\"exchange\":{{}}}}\n{HEAD}\n")).unwrap_err();
        assert!(error.starts_with("r.jsonl:2:"), "{error}");
        let error = told(&format!("{HEAD}\n{HEAD}\n")).unwrap_err();
        assert!(
            error.starts_with("r.jsonl:2:1: a second recording"),
            "{error}"
        );
    }
}
