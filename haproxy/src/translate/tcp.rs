//! Proxies with `mode tcp`: which of their directives are about requests, and so without effect there.

use crate::{file::Kind, remark::Fate, text::Line};

use super::{
    Translator,
    draft::{Draft, Mode, keyword},
};

/// Directives that HAProxy passes over, with a warning, in a proxy for TCP.
const OF_REQUESTS: [&str; 19] = [
    "http-request",
    "http-response",
    "http-after-response",
    "http-error",
    "http-reuse",
    "redirect",
    "capture",
    "cookie",
    "compression",
    "errorfile",
    "errorfiles",
    "errorloc",
    "errorloc302",
    "errorloc303",
    "monitor-uri",
    "monitor",
    "unique-id-header",
    "retry-on",
    "http-send-name-header",
];

/// The same of options.
const OPTIONS_OF_REQUESTS: [&str; 17] = [
    "forwardfor",
    "originalto",
    "httplog",
    "httpclose",
    "forceclose",
    "http-server-close",
    "http-keep-alive",
    "http-pretend-keepalive",
    "http-tunnel",
    "http-no-delay",
    "http-ignore-probes",
    "http-buffer-request",
    "http-use-htx",
    "http_proxy",
    "prefer-last-server",
    "accept-invalid-http-request",
    "accept-invalid-http-response",
];

/// What becomes of a directive that a proxy for TCP cannot use; `None` if it can.
pub fn without_effect(draft: &Draft<'_>, line: &Line) -> Option<Fate> {
    if draft.mode == Mode::Http {
        return None;
    }
    let idle = match keyword(line) {
        ["option", option, _] | ["no" | "default", "option", option] => {
            OPTIONS_OF_REQUESTS.contains(&option)
        }
        // The body's limit and the like; the times of connections count.
        ["timeout", "http-request" | "http-keep-alive" | "tarpit", _] => true,
        [directive, ..] => OF_REQUESTS.contains(&directive),
    };
    let own = draft.own().iter().any(|own| own.number == line.number);
    idle.then(|| match own {
        // What defaults say for others is said in vain here, as they know.
        false => Fate::Same,
        true => Fate::nearly("it has no effect in TCP mode; HAProxy ignores it, too"),
    })
}

impl<'t> Translator<'t> {
    /// A frontend for TCP whose backends are for HTTP speaks HTTP: HAProxy finds that out for each connection, and
    /// Weir is told.
    pub(super) fn settle_modes(&mut self, proxies: &mut [Draft<'t>]) {
        let of_http: Vec<&str> = proxies
            .iter()
            .filter(|draft| draft.is_backend() && draft.mode == Mode::Http)
            .map(Draft::name)
            .collect();
        let mut upgraded = Vec::new();
        for draft in proxies.iter() {
            if draft.mode == Mode::Http || draft.section.kind != Kind::Frontend {
                continue;
            }
            let routes = draft.all("default_backend").chain(draft.all("use_backend"));
            let mut targets = routes.map(|line| keyword(line)[1]).peekable();
            if targets.peek().is_some() && targets.all(|target| of_http.contains(&target)) {
                upgraded.push(draft.section.header.number);
            }
        }
        for draft in proxies {
            if upgraded.contains(&draft.section.header.number) {
                draft.mode = Mode::Http;
                let note =
                    "it becomes a frontend for HTTP, since that is what its backends are for";
                self.remark(&draft.section.header, Fate::nearly(note));
            }
        }
    }
}
