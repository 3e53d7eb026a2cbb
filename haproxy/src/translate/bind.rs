//! `bind` lines: addresses to listen on.

use std::path::Path;

use crate::{
    problem::Problem,
    remark::Fate,
    surroundings::Surroundings,
    text::{Line, Word},
    weir::{Table, Value},
};

use super::{
    site::Site,
    strength::Strength,
    words::{Words, wrong},
};

/// What reading a line needs to know.
pub struct Around<'b> {
    pub site: &'b mut Site,
    pub files: &'b dyn Surroundings,
    /// Of peers that speak the PROXY protocol by `tcp-request connection expect-proxy`.
    pub expects_proxy: Option<Value>,
    /// How long a handshake may take, if that is said.
    pub handshake: Option<String>,
    /// Whether requests come in.
    pub is_http: bool,
}

/// The addresses of a line in weir.toml's form, and what becomes of its options.
///
/// # Errors
/// What HAProxy would not take either.
pub fn bind(line: &Line, around: &mut Around<'_>) -> Result<(Vec<Value>, Fate), Problem> {
    let mut words = Words::of(line);
    let addresses = words.need("an address")?;
    let mut binds = Vec::new();
    for address in addresses.text.split(',') {
        binds.push(Value::from(
            self::address(address).map_err(|what| wrong(addresses, what))?,
        ));
    }
    let mut fate = Fate::Same;
    let mut more = Table::new();
    let mut tls = Tls {
        strength: around.site.listeners.clone(),
        ..Tls::default()
    };
    if let Some(from) = &around.expects_proxy {
        more.set("accept_proxy", Table::of("from", from.clone()));
    }
    while let Some(word) = words.next() {
        if let Some(of_tls) = tls.strength.option(word, &mut words)? {
            fate = fate.and(of_tls);
            continue;
        }
        fate = fate.and(match word.text.as_str() {
            key @ ("interface" | "namespace" | "mode" | "user" | "group") => {
                more.set(key, words.need("a value")?.text.as_str());
                Fate::Same
            }
            key @ ("uid" | "gid") => {
                let key = if key == "uid" { "user" } else { "group" };
                more.set(key, words.need("a number")?.text.as_str());
                Fate::Same
            }
            "backlog" => {
                more.set("backlog", words.number(1, 65_535)?);
                Fate::Same
            }
            "v4v6" => {
                more.set("dual_stack", true);
                Fate::Same
            }
            "v6only" => Fate::Same,
            "tfo" => Fate::nearly("fast open is a setting of the machine: net.ipv4.tcp_fastopen"),
            "name" | "id" | "nice" | "process" | "thread" | "shards" | "level"
            | "severity-output" => {
                words.need("a value")?;
                Fate::Same
            }
            "defer-accept" | "transparent" => {
                Fate::nearly(format!("`{}` is not set on the socket", word.text))
            }
            "maxconn" | "tcp-ut" | "mss" => {
                let value = words.need("a value")?;
                Fate::dropped(format!(
                    "`{} {}` cannot be said of a listener",
                    word.text, value.text
                ))
            }
            "accept-proxy" => {
                let unix = binds.iter().all(is_unix);
                let everybody: Vec<Value> = vec!["0.0.0.0/0".into(), "::/0".into()];
                more.set(
                    "accept_proxy",
                    match unix {
                        true => Value::Bool(true),
                        false => Table::of("from", everybody).into(),
                    },
                );
                Fate::Same
            }
            "accept-netscaler-cip" => {
                words.need("a value")?;
                Fate::dropped("NetScaler's protocol is not taken")
            }
            "proto" | "alpn" => {
                let value = words.need("a value")?;
                let spoken = protocols(value)?;
                match around.is_http {
                    true => {
                        more.set("protocols", spoken);
                        Fate::Same
                    }
                    false => Fate::nearly("in front of TCP no protocol is agreed on"),
                }
            }
            "ssl" => {
                tls.wanted = true;
                Fate::Same
            }
            "no-alpn" | "prefer-client-ciphers" => Fate::Same,
            "strict-sni" => {
                tls.table.set("strict_sni", true);
                Fate::Same
            }
            "allow-0rtt" | "generate-certificates" => {
                Fate::dropped(format!("`{}` is not there", word.text))
            }
            "crt" => {
                let file = &words.need("a file")?.text;
                tls.certificates.push(around.site.certificate(file).into());
                Fate::Same
            }
            "crt-list" => {
                let file = words.need("a file")?;
                tls.list(file, around)?
            }
            key @ ("ca-file" | "crl-file") => {
                let key = if key == "ca-file" { "ca" } else { "crl" };
                let file = &words.need("a file")?.text;
                tls.table.set(key, around.site.authority(file));
                Fate::Same
            }
            "verify" => {
                let how = words.need("`none`, `optional` or `required`")?;
                match how.text.as_str() {
                    "none" => {}
                    how @ ("optional" | "required") => tls.table.set("verify", how),
                    other => return Err(wrong(how, format!("`{other}` is no way to verify"))),
                }
                Fate::Same
            }
            "npn" | "crt-ignore-err" | "ca-ignore-err" | "ca-sign-file" | "ca-verify-file"
            | "tls-ticket-keys" | "ocsp-update" => {
                words.need("a value")?;
                Fate::dropped(format!("`{}` is not there", word.text))
            }
            other => return Err(wrong(word, format!("unknown option `{other}` of `bind`"))),
        });
    }
    // HAProxy 2.6 agrees on nothing unless it is told to.
    if tls.wanted && around.is_http && more.get("protocols").is_none() {
        more.set("protocols", vec![Value::from("http/1.1")]);
    }
    if tls.wanted {
        more.set("tls", tls.finish(line, around)?);
    }
    if !more.is_empty() {
        for bind in &mut binds {
            let mut table = Table::of("address", bind.clone());
            more.iter()
                .for_each(|(key, value)| table.set(key, value.clone()));
            *bind = table.into();
        }
    }
    Ok((binds, fate))
}

fn is_unix(bind: &Value) -> bool {
    matches!(bind, Value::Text(address) if address.starts_with("unix:"))
}

/// What a line says about TLS.
#[derive(Default)]
struct Tls {
    wanted: bool,
    certificates: Vec<Value>,
    table: Table,
    strength: Strength,
}

impl Tls {
    /// The certificates of a `crt-list`: a file on each line, with its own options and names.
    fn list(&mut self, file: &Word, around: &mut Around<'_>) -> Result<Fate, Problem> {
        let path = around.site.file(&file.text);
        let text = match around.files.file(Path::new(&path)) {
            Ok(text) => text,
            Err(error) => {
                return Err(wrong(file, format!("`{path}` cannot be read: {error}")));
            }
        };
        let mut chosen_by_name = false;
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let Some(certificate) = words.next().filter(|word| !word.starts_with('#')) else {
                continue;
            };
            chosen_by_name |= words.next().is_some();
            let certificate = around.site.certificate(certificate);
            self.certificates.push(certificate.into());
        }
        Ok(match chosen_by_name {
            true => Fate::nearly(
                "the list is read once; a certificate is shown for the names in it, without options of its own",
            ),
            false => Fate::nearly("the list is read once, when it is imported"),
        })
    }

    fn finish(mut self, line: &Line, around: &Around<'_>) -> Result<Table, Problem> {
        let certificates = match self.certificates.len() {
            0 => {
                let problem = Problem::new(line.words[0].place, "`ssl` without a certificate");
                return Err(problem.hint("add `crt FILE`"));
            }
            1 => self.certificates.remove(0),
            _ => Value::List(self.certificates),
        };
        let mut table = Table::of("certificate", certificates);
        self.table
            .iter()
            .for_each(|(key, value)| table.set(key, value.clone()));
        self.strength.write_listener(&mut table);
        if let Some(limit) = &around.handshake {
            table.set("handshake_timeout", limit.as_str());
        }
        Ok(table)
    }
}

/// What clients may speak: `h2,http/1.1`.
fn protocols(word: &Word) -> Result<Vec<Value>, Problem> {
    let one = |name: &str| match name {
        "h1" | "http/1.1" => Ok(Value::from("http/1.1")),
        "h2" => Ok(Value::from("h2")),
        other => Err(wrong(
            word,
            format!("`{other}` is no protocol that clients could speak"),
        )),
    };
    word.text.split(',').map(one).collect()
}

/// One address in weir.toml's form.
fn address(text: &str) -> Result<String, String> {
    if let Some(path) = text
        .strip_prefix("unix@")
        .or(text.starts_with('/').then_some(text))
    {
        return Ok(format!("unix:{path}"));
    }
    if text.starts_with("fd@") {
        return Ok(text.to_owned());
    }
    if text.starts_with("abns@") || text.starts_with("sockpair@") {
        return Err(format!("`{text}`: abstract sockets cannot be listened on"));
    }
    let (text, family) = match text.split_once('@') {
        Some((family @ ("ipv4" | "ipv6"), rest)) => (rest, Some(family)),
        Some((other, _)) => return Err(format!("unknown kind of address `{other}@`")),
        None => (text, None),
    };
    let (host, ports) = text
        .rsplit_once(':')
        .ok_or_else(|| format!("`{text}` has no port"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    check_ports(ports)?;
    Ok(match (host, family) {
        ("" | "*" | "0.0.0.0", None | Some("ipv4")) => format!("*:{ports}"),
        ("" | "*" | "::", _) => format!("[::]:{ports}"),
        (host, _) if host.contains(':') => format!("[{host}]:{ports}"),
        (host, _) => format!("{host}:{ports}"),
    })
}

fn check_ports(ports: &str) -> Result<(), String> {
    let port = |text: &str| {
        text.parse::<u16>()
            .map_err(|_| format!("`{text}` is no port"))
    };
    match ports.split_once('-') {
        None => port(ports).map(|_| ()),
        Some((first, last)) => {
            if port(first)? > port(last)? {
                return Err(format!("the range `{ports}` ends before it begins"));
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_their_meaning() {
        for (written, wanted) in [
            (":80", "*:80"),
            ("*:80", "*:80"),
            ("*:60000-60001", "*:60000-60001"),
            (":::443", "[::]:443"),
            ("[::1]:80", "[::1]:80"),
            ("ipv6@:80", "[::]:80"),
            ("ipv4@*:80", "*:80"),
            ("10.0.0.2:80", "10.0.0.2:80"),
            ("/run/web.sock", "unix:/run/web.sock"),
            ("unix@/run/web.sock", "unix:/run/web.sock"),
            ("fd@3", "fd@3"),
        ] {
            assert_eq!(address(written).as_deref(), Ok(wanted), "{written}");
        }
        for wrong in ["10.0.0.1", "*:99999", "*:80-70", "abns@x", "what@x:1", ":x"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
