//! Requests that really arrived, one JSON object a line.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;

use crate::config::cases::Given;

/// A request of a trace.
#[derive(Debug, Clone)]
pub struct Arrival {
    pub at: Duration,
    pub given: Given,
    /// How long a server works at it; `None`: as the server does.
    pub service: Option<Duration>,
}

/// A trace that cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    #[error("{} can't be read", file.display())]
    Unreadable { file: PathBuf, source: io::Error },
    #[error("{}:{line}: {message}", file.display())]
    Line {
        file: PathBuf,
        line: usize,
        message: String,
    },
    #[error("{} has no request", file.display())]
    Empty { file: PathBuf },
}

/// Reads `{"at": 0.25, "request": "GET /a", "client": "192.0.2.7", "headers": {"x-a": "b"}, "service": 0.01}`
/// from each line; only `at` is needed. Times are seconds. Sorted by time.
pub fn load_trace(file: &Path) -> Result<Vec<Arrival>, TraceError> {
    let text = fs::read_to_string(file).map_err(|source| TraceError::Unreadable {
        file: file.to_owned(),
        source,
    })?;
    let mut arrivals = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        arrivals.push(arrival(line).map_err(|message| TraceError::Line {
            file: file.to_owned(),
            line: number + 1,
            message,
        })?);
    }
    if arrivals.is_empty() {
        return Err(TraceError::Empty {
            file: file.to_owned(),
        });
    }
    arrivals.sort_by_key(|arrival| arrival.at);
    Ok(arrivals)
}

fn arrival(line: &str) -> Result<Arrival, String> {
    let value: Value = serde_json::from_str(line).map_err(|error| format!("no JSON: {error}"))?;
    let Value::Object(fields) = value else {
        return Err("no JSON object".to_owned());
    };
    let mut at = None;
    let mut given = Given::default();
    let mut service = None;
    for (key, value) in &fields {
        match key.as_str() {
            "at" => at = Some(seconds(key, value)?),
            "service" => service = Some(seconds(key, value)?),
            "request" => {
                let text = text(key, value)?;
                let (method, target) = text.split_once(' ').unwrap_or(("GET", text));
                given.request.method = method.to_owned();
                given.request.target = target.to_owned();
            }
            "host" => given.request.host = text(key, value)?.to_owned(),
            "client" => {
                let text = text(key, value)?;
                given.request.client = text
                    .parse()
                    .or_else(|_| text.parse().map(|ip| SocketAddr::new(ip, 40_000)))
                    .map_err(|_| format!("`client` is no address: {text}"))?;
            }
            "headers" => {
                let headers = value.as_object().ok_or("`headers` is no object")?;
                for (name, value) in headers {
                    let value = text(name, value)?.to_owned();
                    given.request.headers.push((name.clone(), value));
                }
            }
            _ => {
                return Err(format!(
                    "unknown key `{key}`; there are at, request, host, client, headers, service"
                ));
            }
        }
    }
    Ok(Arrival {
        at: at.ok_or("`at` is missing, the second at which the request arrives")?,
        given,
        service,
    })
}

fn text<'a>(key: &str, value: &'a Value) -> Result<&'a str, String> {
    value.as_str().ok_or_else(|| format!("`{key}` is no text"))
}

fn seconds(key: &str, value: &Value) -> Result<Duration, String> {
    value
        .as_f64()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("`{key}` is no number of seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_request_with_its_time() {
        let line = r#"{"at": 0.25, "request": "POST /a", "client": "192.0.2.7", "headers": {"x-a": "b"}, "service": 0.01}"#;
        let arrival = arrival(line).unwrap();
        assert_eq!(arrival.at, Duration::from_millis(250));
        assert_eq!(arrival.service, Some(Duration::from_millis(10)));
        let request = arrival.given.request;
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("POST", "/a")
        );
        assert_eq!(request.client.ip().to_string(), "192.0.2.7");
        assert_eq!(request.headers, [("x-a".to_owned(), "b".to_owned())]);
    }

    #[test]
    fn what_is_no_request_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.jsonl");
        for (text, wanted) in [
            (
                "{\"at\": 1}\n{\"at\": -1}\n",
                "t.jsonl:2: `at` is no number of seconds",
            ),
            ("{}\n", "t.jsonl:1: `at` is missing"),
            ("[]\n", "t.jsonl:1: no JSON object"),
            ("{\"at\": 1, \"clint\": \"x\"}\n", "unknown key `clint`"),
            ("\n", "t.jsonl has no request"),
        ] {
            fs::write(&file, text).unwrap();
            let error = load_trace(&file).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
