//! What a matcher says of each fact: one condition for every key that it has.

use weir_sdk::{Input, ResponseInput, maps::Map};

use super::Matchers;
use crate::{
    checks::{check_host, check_method, check_path, check_raw_path, check_scheme, is_token},
    config::{self, HostText, Lookup, Matcher, NamedText, OneOrMany, PathText, ValueText},
    index::Technique,
    inputs::Fact,
    patterns::Patterns,
    problem::Place,
    ruleset::{Condition, Source},
    sample::{BadSample, Sample, end_of_braces},
};

impl<'c> Matchers<'c> {
    /// A condition, or `None` for a problem, for each fact that the matcher looks at.
    pub(super) fn facts(&mut self, matcher: &'c Matcher, place: &Place) -> Vec<Option<Condition>> {
        // Taken apart, so that a new kind of matcher cannot be forgotten here.
        let Matcher {
            any: _,
            all: _,
            not: _,
            path,
            raw_path,
            query,
            query_param,
            method,
            host,
            scheme,
            header,
            cookie,
            client,
            listener_port,
            tls_sni,
            tls_alpn,
            tls_version,
            tls_cipher,
            tls_client_verified,
            tls_client_subject,
            tls_client_san,
            tls_client_fingerprint,
            var,
            lookup,
            value,
            always,
            status,
            response_header,
        } = matcher;
        let mut facts = Vec::new();
        let mut add = |fact: Option<Option<Condition>>| facts.extend(fact);
        add(path
            .as_ref()
            .map(|text| self.path(Input::Path, text, &place.key("path"))));
        add(raw_path
            .as_ref()
            .map(|text| self.path(Input::RawPath, text, &place.key("raw_path"))));
        add(query.as_ref().map(|text| {
            let place = place.key("query");
            let source = self.source(Fact::Request(Input::Query), &place)?;
            self.patterns(source, &Patterns::of(text), &place)
        }));
        for (text, input, key) in [
            (tls_sni, Input::TlsSni, "tls_sni"),
            (tls_alpn, Input::TlsAlpn, "tls_alpn"),
            (tls_version, Input::TlsVersion, "tls_version"),
            (tls_cipher, Input::TlsCipher, "tls_cipher"),
            (
                tls_client_verified,
                Input::TlsClientVerified,
                "tls_client_verified",
            ),
            (
                tls_client_subject,
                Input::TlsClientSubject,
                "tls_client_subject",
            ),
            (tls_client_san, Input::TlsClientSan, "tls_client_san"),
            (
                tls_client_fingerprint,
                Input::TlsClientFingerprint,
                "tls_client_fingerprint",
            ),
        ] {
            add(text.as_ref().map(|text| {
                let place = place.key(key);
                let source = self.source(Fact::Request(input), &place)?;
                self.patterns(source, &Patterns::of(text), &place)
            }));
        }
        add(query_param
            .as_ref()
            .map(|text| self.named_text("query_param", text, place)));
        add(method
            .as_ref()
            .map(|methods| self.words(Input::Method, methods, check_method, &place.key("method"))));
        add(host
            .as_ref()
            .map(|text| self.host(text, &place.key("host"))));
        add(scheme
            .as_ref()
            .map(|schemes| self.words(Input::Scheme, schemes, check_scheme, &place.key("scheme"))));
        add(header
            .as_ref()
            .map(|text| self.named_text("header", text, place)));
        add(cookie
            .as_ref()
            .map(|text| self.named_text("cookie", text, place)));
        add(client
            .as_ref()
            .map(|networks| self.networks(networks, &place.key("client"))));
        add(listener_port.as_ref().map(|ports| {
            let ports: Vec<String> = ports.as_slice().iter().map(u16::to_string).collect();
            self.exactly(Input::ListenerPort, ports, &place.key("listener_port"))
        }));
        add(var.as_ref().map(|text| self.named_text("var", text, place)));
        add(lookup
            .as_ref()
            .map(|lookup| self.lookup(lookup, &place.key("lookup"))));
        add(value
            .as_ref()
            .map(|value| self.value(value, &place.key("value"))));
        add(always.map(|always| {
            Some(match always {
                true => Condition::Always,
                false => Condition::Not(Box::new(Condition::Always)),
            })
        }));
        add(status
            .as_ref()
            .map(|statuses| self.status(statuses, &place.key("status"))));
        add(response_header
            .as_ref()
            .map(|text| self.named_text("response_header", text, place)));
        facts
    }

    fn path(&mut self, input: Input, text: &PathText, place: &Place) -> Option<Condition> {
        let mut patterns = Patterns::of(text);
        patterns.check = if input == Input::Path {
            check_path
        } else {
            check_raw_path
        };
        let source = self.source(Fact::Request(input), place)?;
        self.patterns(source, &patterns, place)
    }

    fn host(&mut self, text: &HostText, place: &Place) -> Option<Condition> {
        let source = self.source(Fact::Request(Input::Host), place)?;
        let mut patterns = Patterns::of(text);
        patterns.check = check_host;
        self.patterns(source, &patterns, place)
    }

    /// `key` is both the matcher's key and the kind of fact.
    fn named_text(&mut self, key: &str, text: &NamedText, place: &Place) -> Option<Condition> {
        let place = place.key(key);
        let is_header = key.contains("header");
        if text.name.is_empty() || (is_header && !is_token(&text.name)) {
            let what = format!(
                "`{}` cannot be the name of a {}",
                text.name,
                key.replace('_', " ")
            );
            self.problems.add(place.key("name").problem(what));
            return None;
        }
        let name = text.name.clone();
        let fact = match key {
            "query_param" => Fact::Request(Input::QueryParam(name)),
            "cookie" => Fact::Request(Input::Cookie(name)),
            "var" => Fact::Request(Input::Var(name)),
            "header" => Fact::Request(Input::HeaderAll(name.to_ascii_lowercase())),
            _ => Fact::Response(ResponseInput::HeaderAll(name.to_ascii_lowercase())),
        };
        let slot = self.slot(fact, &place)?;
        let source = if is_header {
            Source::List(slot)
        } else {
            Source::Input(slot)
        };
        self.patterns(source, &Patterns::of(text), &place)
    }

    fn lookup(&mut self, lookup: &Lookup, place: &Place) -> Option<Condition> {
        self.check_granted(&lookup.map, &place.key("map"));
        let key = self.slot(Fact::Request(lookup.key.clone()), &place.key("key"))?;
        let source = Source::Map {
            map: lookup.map.clone(),
            key,
        };
        self.patterns(source, &Patterns::of(lookup), place)
    }

    fn value(&mut self, value: &ValueText, place: &Place) -> Option<Condition> {
        let at = place.key("of");
        let inside = value
            .of
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        let inside = inside.filter(|inside| end_of_braces(inside).is_none());
        let Some(inside) = inside else {
            let what = "not one fact in braces, such as `{header(Host)|lower}`";
            self.problems.add(at.problem(what));
            return None;
        };
        let parsed = Sample::parse(inside, &mut self.inputs).map_err(|bad| match bad {
            BadSample::Input(bad) => self.bad_input(bad, &at),
            bad @ BadSample::Converter(_) => at.problem(bad),
        });
        let sample = self.problems.note(parsed)?;
        for map in sample.maps() {
            self.check_granted(map, &at);
        }
        let source = self.tests.value(inside, sample);
        let (least, most) = (value.at_least, value.at_most);
        if least.is_none() && most.is_none() {
            return self.patterns(source, &Patterns::of(value), place);
        }
        if !Patterns::of(value).lists.is_empty() || value.present.is_some() || value.ignore_case {
            let what = "`at_least` and `at_most` compare numbers, and the other keys texts";
            self.problems.add(place.problem(what));
            return None;
        }
        if least > most && most.is_some() {
            self.problems
                .add(place.problem("`at_least` is above `at_most`: nothing can match"));
            return None;
        }
        let bound = |bound: Option<i64>| bound.map(|bound| bound.to_string()).unwrap_or_default();
        let range = format!("{}:{}", bound(least), bound(most));
        self.test(source, Technique::Number, false, vec![range], place)
    }

    fn check_granted(&mut self, map: &str, place: &Place) {
        if Map::named(map).version() == 0 {
            let what =
                format!("no map `{map}` is granted to this filter; add `maps = [\"{map}\"]` to it");
            self.problems.add(place.problem(what));
        }
    }

    fn words(
        &mut self,
        input: Input,
        words: &OneOrMany<String>,
        check: fn(&str) -> Result<(), String>,
        place: &Place,
    ) -> Option<Condition> {
        for word in words.as_slice() {
            self.problems
                .note(check(word).map_err(|what| place.problem(what)))?;
        }
        self.exactly(input, words.as_slice().to_vec(), place)
    }

    fn networks(&mut self, networks: &OneOrMany<String>, place: &Place) -> Option<Condition> {
        let source = self.source(Fact::Request(Input::ClientAddress), place)?;
        self.test(
            source,
            Technique::Network,
            false,
            networks.as_slice().to_vec(),
            place,
        )
    }

    fn status(&mut self, statuses: &OneOrMany<config::Status>, place: &Place) -> Option<Condition> {
        let source = self.source(Fact::Response(ResponseInput::Status), place)?;
        let (mut codes, mut classes) = (Vec::new(), Vec::new());
        for status in statuses.as_slice() {
            match status {
                config::Status::Code(code @ 100..=599) => codes.push(code.to_string()),
                config::Status::Class(class)
                    if matches!(class.as_str(), "1xx" | "2xx" | "3xx" | "4xx" | "5xx") =>
                {
                    classes.push(class[..1].to_owned());
                }
                config::Status::Code(other) => {
                    self.problems
                        .add(place.problem(format!("`{other}` is no status; they are 100 to 599")));
                    return None;
                }
                config::Status::Class(other) => {
                    let what = format!("`{other}` is no class of statuses; write 404 or \"4xx\"");
                    self.problems.add(place.problem(what));
                    return None;
                }
            }
        }
        let mut any = Vec::new();
        if !codes.is_empty() || classes.is_empty() {
            any.push(self.test(source.clone(), Technique::Exact, false, codes, place)?);
        }
        if !classes.is_empty() {
            any.push(self.test(source, Technique::Prefix, false, classes, place)?);
        }
        Some(Condition::Any(any))
    }

    fn exactly(&mut self, input: Input, values: Vec<String>, place: &Place) -> Option<Condition> {
        let source = self.source(Fact::Request(input), place)?;
        self.test(source, Technique::Exact, false, values, place)
    }
}
