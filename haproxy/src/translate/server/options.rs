//! The options of a server, one after the other.

use crate::{
    problem::Problem,
    remark::Fate,
    text::{self, Word},
};

use super::{
    Server,
    address::source,
    send_proxy::{SendProxy, Version},
};
use crate::translate::{
    check,
    site::Site,
    words::{Words, wrong},
};

impl Server {
    fn dropped(&mut self, what: &str) {
        self.note(Fate::dropped(what));
    }

    pub(super) fn options(
        &mut self,
        words: &mut Words<'_>,
        site: &mut Site,
    ) -> Result<(), Problem> {
        while let Some(word) = words.next() {
            self.option(word, words, site)?;
        }
        Ok(())
    }

    fn option(
        &mut self,
        word: &Word,
        words: &mut Words<'_>,
        site: &mut Site,
    ) -> Result<(), Problem> {
        if let Some(fate) = self.strength.option(word, words)? {
            self.note(fate);
            return Ok(());
        }
        let time = |words: &mut Words<'_>| -> Result<String, Problem> {
            let word = words.need("a time")?;
            let time = text::duration(&word.text, "ms").map_err(|what| wrong(word, what))?;
            if time.microseconds == 0 {
                return Err(wrong(word, "a time of 0"));
            }
            Ok(time.to_string())
        };
        match word.text.as_str() {
            "check" => self.check = true,
            "no-check" => self.check = false,
            "inter" => self.inter = Some(time(words)?),
            "fastinter" => {
                let time = time(words)?;
                self.check_more.set("fast_interval", time);
            }
            "downinter" => {
                let time = time(words)?;
                self.check_more.set("down_interval", time);
            }
            "fall" => self.fall = Some(check::count(words)?),
            "rise" => self.rise = Some(check::count(words)?),
            "weight" => self.weight = Some(words.number(0, 256)?),
            "maxconn" => {
                self.maxconn = Some(words.number(0, i64::from(u32::MAX))?).filter(|most| *most > 0)
            }
            "maxqueue" => self.max_queue = Some(words.number(0, i64::from(u32::MAX))?),
            "minconn" => {
                words.number(0, i64::from(u32::MAX))?;
                self.note(Fate::nearly("the limit is `maxconn` at any time"));
            }
            "id" => self.id = Some(words.number(1, i64::from(u32::MAX))?),
            "cookie" => self.cookie = Some(words.need("a value")?.text.clone()),
            // Whether a name must resolve is said of the resolver.
            "init-addr" => {
                let how = words.need("a list")?;
                if how.text.split(',').next_back() != Some("none") && !how.text.contains("libc") {
                    self.note(Fate::nearly("addresses come from the name alone"));
                }
            }
            "backup" => self.more.set("backup", true),
            "no-backup" => {
                self.more.remove("backup");
            }
            "disabled" => self.more.set("state", "maintenance"),
            "non-stick" => self.dropped("it can be stuck to like the others"),
            "ssl" => {
                self.tls.get_or_insert_default();
            }
            "no-ssl" => self.tls = None,
            "send-proxy" => self.send_proxy = Some(SendProxy::of(Version::V1)),
            "send-proxy-v2" => self.send_proxy_v2(None),
            "send-proxy-v2-ssl" => self.send_proxy_v2(Some("tls")),
            "send-proxy-v2-ssl-cn" => self.send_proxy_v2(Some("tls")),
            "no-send-proxy" | "no-send-proxy-v2" => self.send_proxy = None,
            "check-send-proxy" => self.check_send_proxy = true,
            "proxy-v2-options" => {
                let options = words.need("a list of options")?;
                for option in options.text.split(',') {
                    self.proxy_option(option)
                        .map_err(|what| wrong(options, what))?;
                }
            }
            "no-check-ssl" => self.check_more.set("tls", false),
            "check-ssl" => {
                self.note(Fate::nearly(
                    "checks are made in TLS if the server is spoken to in TLS",
                ));
            }
            "check-via-socks4" => self.dropped("there are no SOCKS proxies on the way"),
            "tfo" | "no-tfo" | "enabled" | "stick" | "no-verifyhost" | "ssl-reuse"
            | "no-ssl-reuse" | "allow-0rtt" => {}
            "verify" => {
                let how = words.need("`none` or `required`")?;
                match how.text.as_str() {
                    how @ ("none" | "required") => self.tls_more.set("verify", how),
                    other => return Err(wrong(how, format!("`{other}` is no way to verify"))),
                }
            }
            key @ ("ca-file" | "crl-file" | "crt") => {
                let key = match key {
                    "ca-file" => "ca",
                    "crl-file" => "crl",
                    _ => "certificate",
                };
                let file = words.need("a file")?.text.as_str();
                match (key, file) {
                    // What the system trusts is what Weir trusts if nothing is said.
                    ("ca", "@system-ca") => {}
                    ("certificate", file) => self.tls_more.set(key, site.certificate(file)),
                    (key, file) => self.tls_more.set(key, site.authority(file)),
                }
            }
            "sni" | "verifyhost" => {
                let name = words.need("a name")?;
                let fixed = name
                    .text
                    .strip_prefix("str(")
                    .and_then(|rest| rest.strip_suffix(')'));
                match fixed.or((word.text == "verifyhost").then_some(name.text.as_str())) {
                    Some(name) => self.tls_more.set("sni", name),
                    None => self.note(Fate::nearly(format!(
                        "the server is asked for the name in its address, not for `{}`",
                        name.text
                    ))),
                }
            }
            "alpn" => {
                let protocols = words.need("protocols")?;
                match protocols.text.as_str() {
                    "h2" => self.more.set("protocol", "h2"),
                    both if both.split(',').any(|protocol| protocol == "h2") => {
                        self.note(Fate::nearly(
                            "it is spoken to in HTTP/1; say `protocol = \"h2\"` for the other",
                        ))
                    }
                    _ => {}
                }
            }
            "npn" | "check-sni" | "check-alpn" => {
                words.need("a value")?;
                self.dropped(&format!("`{}`", word.text));
            }
            "proto" => match words.need("a protocol")?.text.as_str() {
                "h1" | "none" => {}
                "h2" => self.more.set("protocol", "h2"),
                other => self.dropped(&format!("servers are not spoken to in `{other}`")),
            },
            "check-proto" => match words.need("a protocol")?.text.as_str() {
                "h1" | "none" => {}
                "h2" => self.check_more.set("http2", true),
                other => self.dropped(&format!("servers are not asked in `{other}`")),
            },
            "namespace" => {
                let name = words.need("a namespace")?;
                self.more.set("namespace", name.text.as_str());
            }
            "slowstart" => self.more.set("slow_start", time(words)?),
            "observe" => {
                let layer = words.need("a layer")?;
                match layer.text.as_str() {
                    layer @ ("layer4" | "layer7") => self.observe.set("layer", layer),
                    other => {
                        return Err(wrong(
                            layer,
                            format!("`{other}` is neither layer4 nor layer7"),
                        ));
                    }
                }
            }
            "error-limit" => self.observe.set("errors", words.number(1, 1_000_000)?),
            "on-error" => {
                let how = words.need("what to do")?;
                match how.text.as_str() {
                    "fastinter" => self.observe.set("then", "fast-interval"),
                    then @ ("fail-check" | "sudden-death" | "mark-down") => {
                        self.observe.set("then", then)
                    }
                    other => {
                        return Err(wrong(
                            how,
                            format!("`{other}` is nothing to do on an error"),
                        ));
                    }
                }
            }
            "on-marked-down" => {
                let how = words.need("what to do")?;
                match how.text.as_str() {
                    "shutdown-sessions" => self.more.set("on_marked_down", "shutdown-sessions"),
                    other => return Err(wrong(how, format!("`{other}` is nothing to do there"))),
                }
            }
            "on-marked-up" => {
                let how = words.need("what to do")?;
                match how.text.as_str() {
                    "shutdown-backup-sessions" => {
                        self.more.set("on_marked_up", "shutdown-backup-sessions")
                    }
                    other => return Err(wrong(how, format!("`{other}` is nothing to do there"))),
                }
            }
            "resolve-opts" | "resolve-net" | "resolve-prefer" | "pool-low-conn" | "max-reuse"
            | "log-proto" | "log-bufsize" | "ws" | "tcp-ut" | "shard" => {
                words.need("a value")?;
            }
            "pool-max-conn" | "pool-purge-delay" => {
                words.need("a value")?;
                self.note(Fate::nearly(format!(
                    "`{}` is said of the backend's pool, if at all",
                    word.text
                )));
            }
            "resolvers" => {
                let name = words.need("a name")?;
                self.more.set("resolver", name.text.as_str());
            }
            "track" => self
                .more
                .set("track", words.need("a server")?.text.as_str()),
            "source" => {
                let address = words.need("an address")?;
                match source(&address.text) {
                    Some(source) => self.more.set("source", source),
                    None => self.dropped(&format!(
                        "connections come from an address, and `{}` is none",
                        address.text
                    )),
                }
            }
            "usesrc" | "interface" | "mark" | "tos" | "socks4" | "redir" => {
                words.need("a value")?;
                self.dropped(&format!("`{}`", word.text));
            }
            "port" => self.check_more.set("port", words.number(1, 65_535)?),
            "addr" => {
                let address = words.need("an address")?;
                match address.text.parse::<std::net::IpAddr>() {
                    Ok(address) => self.check_more.set("address", address.to_string()),
                    Err(_) => self.dropped("checks go to an address, not to a name"),
                }
            }
            "agent-check" => {
                self.agent.get_or_insert_default();
            }
            "agent-port" => {
                let port = words.number(1, 65_535)?;
                self.agent.get_or_insert_default().set("port", port);
            }
            "agent-inter" => {
                let interval = time(words)?;
                self.agent.get_or_insert_default().set("interval", interval);
            }
            "agent-send" => {
                let text = words.need("a text")?;
                self.agent
                    .get_or_insert_default()
                    .set("send", text.text.as_str());
            }
            "agent-addr" => {
                let address = words.need("an address")?;
                self.agent
                    .get_or_insert_default()
                    .set("address", address.text.as_str());
            }
            "no-agent-check" => self.agent = None,
            "set-proxy-v2-tlv-fmt" => {
                words.need("a value")?;
                self.dropped("additions to PROXY headers are those that the protocol names");
            }
            other => {
                const KNOWN: [&str; 24] = [
                    "check",
                    "inter",
                    "fall",
                    "rise",
                    "weight",
                    "maxconn",
                    "maxqueue",
                    "id",
                    "cookie",
                    "backup",
                    "disabled",
                    "ssl",
                    "verify",
                    "ca-file",
                    "sni",
                    "alpn",
                    "proto",
                    "send-proxy",
                    "namespace",
                    "slowstart",
                    "observe",
                    "resolvers",
                    "track",
                    "source",
                ];
                let problem = wrong(word, format!("unknown option `{other}` of a server"));
                return Err(match crate::nearest::nearest(other, KNOWN) {
                    Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
                    None => problem,
                });
            }
        }
        Ok(())
    }

    fn send_proxy_v2(&mut self, add: Option<&'static str>) {
        let mut header = match self.send_proxy.take() {
            Some(header) if header.version == Version::V2 => header,
            _ => SendProxy::of(Version::V2),
        };
        if let Some(add) = add {
            header.add(add);
        }
        self.send_proxy = Some(header);
    }

    /// One of `proxy-v2-options`.
    fn proxy_option(&mut self, option: &str) -> Result<(), String> {
        let add = match option {
            "ssl" | "cert-cn" | "ssl-cipher" | "cert-sig" | "cert-key" => "tls",
            "authority" => "authority",
            "crc32c" => "crc32c",
            "unique-id" => "unique-id",
            other => return Err(format!("`{other}` is no addition to a PROXY header")),
        };
        // They may stand before the word that asks for a header; without that word they mean nothing.
        let header = self.send_proxy.get_or_insert(SendProxy::of(Version::V2));
        header.add(add);
        Ok(())
    }
}
