//! From matchers as written to conditions over tests. Whatever cannot hold, or says nothing, is a
//! problem: a rule that never applies is found when it is loaded and not when it was needed.

use std::collections::{BTreeMap, HashMap};

use weir_sdk::{Input, ResponseInput, maps::Map};

use crate::{
    checks::{check_host, check_method, check_path, check_raw_path, check_scheme, is_token},
    config::{self, HostText, Lookup, Matcher, NamedText, OneOrMany, PathText, ValueText},
    expression::{self, Expression},
    index::{BadPattern, Technique},
    inputs::{BadInput, Fact, Hook, Inputs, Slot},
    patterns::Patterns,
    problem::{Place, Problem, Problems},
    ruleset::{Condition, Ruleset, Source, TestSpec, Tests},
    sample::{BadSample, Sample, end_of_braces},
    suggest::nearest,
};

/// How many operators and tests one condition may come to once all names are replaced by what they
/// stand for; a few lines of names that refer to each other could make billions.
const MAX_SIZE: usize = 10_000;

/// The matchers of a config, and the tests and inputs that the conditions asked for so far need.
pub struct Matchers<'c> {
    matchers: &'c BTreeMap<String, Matcher>,
    /// What each name stands for; `None` if that has a problem, which is then already noted.
    known: HashMap<&'c str, Option<Condition>>,
    /// The names being worked out, outermost first.
    open: Vec<&'c str>,
    /// The part of the config that asked.
    asker: Place,
    tests: Tests,
    /// Where each test stands in the config, by its number.
    places: Vec<Place>,
    inputs: Inputs,
    problems: Problems,
}

impl<'c> Matchers<'c> {
    pub fn new(matchers: &'c BTreeMap<String, Matcher>, hook: Hook) -> Self {
        Self {
            matchers,
            known: HashMap::new(),
            open: Vec::new(),
            asker: Place::root(),
            tests: Tests::default(),
            places: Vec::new(),
            inputs: Inputs::new(hook),
            problems: Problems::default(),
        }
    }

    /// The condition of a rule; `None` if it has a problem, which is noted.
    pub fn rule(
        &mut self,
        when: Option<&'c config::Condition>,
        place: &Place,
    ) -> Option<Condition> {
        self.asker = place.clone();
        let condition = match when {
            None => return Some(Condition::Always),
            Some(when) => self.condition(when, place)?,
        };
        self.bounded(condition, place)
    }

    /// Works out a matcher for the sake of its problems.
    pub fn check(&mut self, name: &str) {
        self.asker = Place::root().key("match").key(name);
        self.named(name, &self.asker.clone());
    }

    /// Whether a rule needed the matcher, directly or through another.
    pub fn has_used(&self, name: &str) -> bool {
        self.known.contains_key(name)
    }

    /// The inputs so far, for a rule's templates to add theirs, and where to note their problems.
    pub fn templates(&mut self) -> (&mut Inputs, &mut Problems) {
        (&mut self.inputs, &mut self.problems)
    }

    /// Compiles the rules that have these conditions, and hands over all problems found so far.
    pub fn compile(
        self,
        conditions: Vec<Condition>,
        problems: &mut Problems,
    ) -> Option<(Ruleset, Inputs)> {
        problems.append(self.problems);
        let ruleset = Ruleset::new(&self.tests, conditions)
            .map_err(|BadPattern { id, problem }| self.places[id as usize].problem(problem));
        Some((problems.note(ruleset)?, self.inputs))
    }

    fn condition(&mut self, condition: &'c config::Condition, place: &Place) -> Option<Condition> {
        match condition {
            config::Condition::Matcher(matcher) => self.matcher(matcher, place),
            config::Condition::Expression(text) => {
                let parsed = expression::parse(text).map_err(|error| place.problem(error));
                let expression = self.problems.note(parsed)?;
                self.expression(&expression, place)
            }
        }
    }

    fn expression(&mut self, expression: &Expression, place: &Place) -> Option<Condition> {
        Some(match expression {
            Expression::Name(name) => self.named(name, place)?,
            Expression::Not(inner) => Condition::Not(Box::new(self.expression(inner, place)?)),
            Expression::All(parts) => Condition::All(self.expressions(parts, place)?),
            Expression::Any(parts) => Condition::Any(self.expressions(parts, place)?),
        })
    }

    fn expressions(&mut self, parts: &[Expression], place: &Place) -> Option<Vec<Condition>> {
        // Collected first, so that a problem in one part does not hide those of the next.
        let parts: Vec<_> = parts
            .iter()
            .map(|part| self.expression(part, place))
            .collect();
        parts.into_iter().collect()
    }

    fn named(&mut self, name: &str, place: &Place) -> Option<Condition> {
        let Some((name, matcher)) = self.matchers.get_key_value(name) else {
            let mut what = format!("no matcher named `{name}`");
            if let Some(meant) = nearest(name, self.matchers.keys().map(String::as_str)) {
                what.push_str(&format!("; did you mean `{meant}`?"));
            }
            self.problems.add(place.problem(what));
            return None;
        };
        if let Some(known) = self.known.get(name.as_str()) {
            return known.clone();
        }
        let own_place = Place::root().key("match").key(name);
        if let Some(first) = self.open.iter().position(|open| open == name) {
            let round = self.open[first..].join("` needs `");
            self.problems.add(own_place.problem(format!(
                "`{round}` needs `{name}`: a matcher cannot need itself"
            )));
            return None;
        }
        self.open.push(name);
        let condition = self.matcher(matcher, &own_place);
        self.open.pop();
        let condition = condition.and_then(|condition| self.bounded(condition, &own_place));
        self.known.insert(name, condition.clone());
        condition
    }

    fn bounded(&mut self, condition: Condition, place: &Place) -> Option<Condition> {
        if size(&condition) <= MAX_SIZE {
            return Some(condition);
        }
        let what = format!(
            "comes to more than {MAX_SIZE} tests once all names are replaced by what they stand for"
        );
        self.problems.add(place.problem(what));
        None
    }

    fn matcher(&mut self, matcher: &'c Matcher, place: &Place) -> Option<Condition> {
        let facts = self.facts(matcher, place);
        let combined = [
            ("any", matcher.any.is_some()),
            ("all", matcher.all.is_some()),
            ("not", matcher.not.is_some()),
        ];
        let mut combined = combined
            .into_iter()
            .filter(|(_, is_there)| *is_there)
            .map(|(key, _)| key);
        let (Some(key), second) = (combined.next(), combined.next()) else {
            if facts.is_empty() {
                self.problems.add(place.problem("an empty matcher; say what it should look at, such as `path = { prefix = \"/static\" }`"));
                return None;
            }
            return facts
                .into_iter()
                .collect::<Option<Vec<_>>>()
                .map(one_or_all);
        };
        if second.is_some() || !facts.is_empty() {
            let what = format!(
                "`{key}` stands alone; put what is beside it into a matcher of its own inside `all`"
            );
            self.problems.add(place.problem(what));
            return None;
        }
        let place = place.key(key);
        if let Some(inner) = &matcher.not {
            return self
                .condition(inner, &place)
                .map(|inner| Condition::Not(Box::new(inner)));
        }
        let parts = matcher.any.as_ref().or(matcher.all.as_ref())?;
        if parts.is_empty() {
            self.problems
                .add(place.problem("an empty list; put conditions into it"));
            return None;
        }
        let parts: Vec<_> = (0..)
            .zip(parts)
            .map(|(position, part)| self.condition(part, &place.index(position)))
            .collect();
        let parts = parts.into_iter().collect::<Option<Vec<_>>>()?;
        Some(if matcher.any.is_some() {
            Condition::Any(parts)
        } else {
            Condition::All(parts)
        })
    }

    /// A condition, or `None` for a problem, for each fact that the matcher looks at.
    fn facts(&mut self, matcher: &'c Matcher, place: &Place) -> Vec<Option<Condition>> {
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

    fn patterns(
        &mut self,
        source: Source,
        patterns: &Patterns<'_>,
        place: &Place,
    ) -> Option<Condition> {
        self.problems
            .note(patterns.sensible().map_err(|what| place.problem(what)))?;
        if let Some(present) = patterns.present {
            let test = self.test(
                source,
                Technique::Present,
                false,
                vec![String::new()],
                place,
            )?;
            return Some(if present {
                test
            } else {
                Condition::Not(Box::new(test))
            });
        }
        let tests: Vec<_> = patterns
            .lists
            .iter()
            .map(|(key, technique, list)| {
                let place = place.key(key);
                for pattern in list.as_slice() {
                    let checked =
                        (patterns.check)(*technique, pattern).map_err(|what| place.problem(what));
                    self.problems.note(checked)?;
                }
                let ignore_case = patterns.ignore_case;
                self.test(
                    source.clone(),
                    *technique,
                    ignore_case,
                    list.as_slice().to_vec(),
                    &place,
                )
            })
            .collect();
        tests
            .into_iter()
            .collect::<Option<Vec<_>>>()
            .map(one_or_all)
    }

    fn test(
        &mut self,
        source: Source,
        technique: Technique,
        ignore_case: bool,
        mut patterns: Vec<String>,
        place: &Place,
    ) -> Option<Condition> {
        if patterns.is_empty() {
            self.problems
                .add(place.problem("an empty list, which nothing can match"));
            return None;
        }
        patterns.sort_unstable();
        patterns.dedup();
        let id = self.tests.add(TestSpec {
            source,
            technique,
            ignore_case,
            patterns,
        });
        if id.position() == self.places.len() {
            self.places.push(place.clone());
        }
        Some(Condition::Test(id))
    }

    fn source(&mut self, fact: Fact, place: &Place) -> Option<Source> {
        self.slot(fact, place).map(Source::Input)
    }

    fn slot(&mut self, fact: Fact, place: &Place) -> Option<Slot> {
        let slot = self.inputs.add(fact);
        let slot = slot.map_err(|bad| self.bad_input(bad, place));
        self.problems.note(slot)
    }

    fn bad_input(&self, bad: BadInput, place: &Place) -> Problem {
        match bad {
            // The matcher is right; it is the rule that cannot use it.
            BadInput::OfResponse { name } => self.asker.problem(format!(
                "looks at `{name}`, which only a response has; move the rule to `response_rule`"
            )),
            BadInput::OfRequest { name } => self.asker.problem(format!(
                "looks at `{name}`, which only a request has; move the rule to `rule`"
            )),
            unknown @ BadInput::Unknown { .. } => place.problem(unknown),
        }
    }
}

fn one_or_all(mut parts: Vec<Condition>) -> Condition {
    if parts.len() == 1 {
        parts.remove(0)
    } else {
        Condition::All(parts)
    }
}

fn size(condition: &Condition) -> usize {
    1 + match condition {
        Condition::Always | Condition::Test(_) => 0,
        Condition::Not(inner) => size(inner),
        Condition::All(parts) | Condition::Any(parts) => parts.iter().map(size).sum(),
    }
}
