//! `bind` lines: addresses to listen on.

use crate::{
    problem::Problem,
    remark::Fate,
    text::{Line, Word},
    weir::{Table, Value},
};

use super::words::{Words, wrong};

/// The addresses of a line in weir.toml's form, and what becomes of its options.
///
/// # Errors
/// What HAProxy would not take either.
pub fn bind(line: &Line) -> Result<(Vec<Value>, Fate), Problem> {
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
    let mut tls = Tls::default();
    while let Some(word) = words.next() {
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
            "accept-proxy" => Fate::dropped("the PROXY protocol is not taken on this listener"),
            "accept-netscaler-cip" => {
                words.need("a value")?;
                Fate::dropped("NetScaler's protocol is not taken")
            }
            "proto" | "alpn" => {
                let value = words.need("a value")?;
                more.set("protocols", protocols(value)?);
                Fate::Same
            }
            "ssl" => {
                tls.wanted = true;
                Fate::Same
            }
            "no-alpn" | "no-sslv3" | "no-tlsv10" | "no-tlsv11" | "prefer-client-ciphers" => {
                Fate::Same
            }
            "no-tls-tickets" => {
                tls.table.set("resumption", false);
                Fate::Same
            }
            "strict-sni" => {
                tls.table.set("strict_sni", true);
                Fate::Same
            }
            "no-tlsv12" | "no-tlsv13" => {
                let (key, version) = match word.text.as_str() {
                    "no-tlsv12" => ("min_version", "TLSv1.3"),
                    _ => ("max_version", "TLSv1.2"),
                };
                tls.table.set(key, version);
                Fate::Same
            }
            "allow-0rtt" | "generate-certificates" => {
                Fate::dropped(format!("`{}` is not there", word.text))
            }
            "crt" => {
                tls.certificates
                    .push(words.need("a file")?.text.as_str().into());
                Fate::Same
            }
            key @ ("ca-file" | "crl-file") => {
                let key = if key == "ca-file" { "ca" } else { "crl" };
                tls.table.set(key, words.need("a file")?.text.as_str());
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
            key @ ("ssl-min-ver" | "ssl-max-ver") => {
                let version = words.need("a version")?;
                self::version(key, version, &mut tls.table)?
            }
            "ciphers" | "ciphersuites" | "curves" | "ecdhe" | "sigalgs" | "client-sigalgs" => {
                words.need("a value")?;
                Fate::nearly(format!("`{}` are those that rustls has", word.text))
            }
            "crt-list" | "npn" | "crt-ignore-err" | "ca-ignore-err" | "ca-sign-file"
            | "ca-verify-file" | "tls-ticket-keys" | "ocsp-update" => {
                words.need("a value")?;
                Fate::dropped(format!("`{}` is not there", word.text))
            }
            other => return Err(wrong(word, format!("unknown option `{other}` of `bind`"))),
        });
    }
    if tls.wanted {
        more.set("tls", tls.finish(line)?);
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

/// What a line says about TLS.
#[derive(Default)]
struct Tls {
    wanted: bool,
    certificates: Vec<Value>,
    table: Table,
}

impl Tls {
    fn finish(mut self, line: &Line) -> Result<Table, Problem> {
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
        Ok(table)
    }
}

/// `ssl-min-ver` and `ssl-max-ver`.
pub fn version(key: &str, word: &Word, table: &mut Table) -> Result<Fate, Problem> {
    let key = if key == "ssl-min-ver" {
        "min_version"
    } else {
        "max_version"
    };
    match word.text.as_str() {
        version @ ("TLSv1.2" | "TLSv1.3") => {
            table.set(key, version);
            Ok(Fate::Same)
        }
        "SSLv3" | "TLSv1.0" | "TLSv1.1" if key == "min_version" => {
            Ok(Fate::nearly("TLS begins with 1.2"))
        }
        other => Err(wrong(
            word,
            format!("`{other}` is no version of TLS that is there"),
        )),
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
