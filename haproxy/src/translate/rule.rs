//! `http-request`, `http-response`, `tcp-request`, `redirect` and `use_backend` as rules of the plugin
//! `rules`.

use std::collections::BTreeSet;

use crate::{
    file::{Condition, Sample, What, split_condition},
    problem::Problem,
    text::{Line, Word},
    weir::{Table, Value},
};

use super::{
    Translator,
    condition::{Names, When, check_names, when},
    draft::Draft,
    facts::{Reason, Used},
    matcher::Matchers,
    redirect, reply,
    template::{self, literal},
    words::{Words, at, wrong},
};

/// A rule of the plugin `rules`.
#[derive(Debug, Clone, Default)]
pub struct Rule {
    pub comments: Vec<String>,
    pub when: When,
    /// What it does.
    pub body: Table,
    pub used: Used,
    /// What later rules would see changed.
    pub writes: BTreeSet<String>,
    /// Whether it is about responses.
    pub response: bool,
}

/// What a directive asks for.
pub enum Wanted {
    Rule(Rule),
    /// Log in with the users of this list before going on.
    Login {
        list: String,
        realm: Option<String>,
    },
    /// What Weir does by itself.
    Nothing,
}

/// Why a directive became no rule.
pub enum Refused {
    /// HAProxy would not take it either.
    Wrong(Problem),
    /// Weir has nothing like it.
    Absent(Reason),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Wrong(problem)
    }
}

impl From<Reason> for Refused {
    fn from(reason: Reason) -> Self {
        Self::Absent(reason)
    }
}

/// Reads rules of one proxy.
pub struct RuleReader<'r, 't> {
    pub translator: &'r mut Translator<'t>,
    pub draft: &'r Draft<'t>,
    /// The matchers that were given names so far.
    pub named: Names,
}

/// Fields that say how a message is framed; Weir's plugins may not touch them.
const OF_THE_PROXY: [&str; 9] = [
    "connection",
    "content-length",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl<'t> RuleReader<'_, 't> {
    /// A directive whose first word is `http-request`, `http-response` or `http-after-response`.
    pub fn http(&mut self, line: &Line) -> Result<Wanted, Refused> {
        let (words, condition) = split_condition(&line.words)?;
        if let Some(condition) = &condition {
            check_names(self.draft, condition)?;
        }
        let mut words = Words::from(&words[0], &words[1..]);
        let action = words.need("an action")?;
        let kind = line.words[0].text.as_str();
        if kind == "http-request" && action.text == "auth" {
            return self.login(line, &mut words, condition.as_ref());
        }
        let mut rule = self.rule(line, condition.as_ref())?;
        rule.response = kind == "http-response";
        match (kind, action.text.as_str()) {
            ("http-response", "set-status") => {
                let status = words.number(200, 599)?;
                rule.body.set("set_status", status);
            }
            (
                "http-response" | "http-after-response",
                "set-header" | "add-header" | "del-header" | "replace-header" | "replace-value",
            ) => {
                self.header(action, &mut words, &mut rule)?;
            }
            ("http-request", "cache-use") => {
                words.need("the name of a cache")?;
                words.end()?;
                // Without a condition the section's key `cache` says it all.
                if condition.is_none() {
                    return Ok(Wanted::Nothing);
                }
                rule.body.set("set_var", Table::of("cache", "yes"));
                rule.writes.insert("var:cache".to_owned());
            }
            // What may be kept is kept wherever it is looked for.
            ("http-response", "cache-store") => {
                words.need("the name of a cache")?;
                words.end()?;
                return match condition {
                    None => Ok(Wanted::Nothing),
                    Some(_) => Err(Refused::Absent(
                        "answers are kept wherever the cache is used; a filter can set the variable `cache` to `no`"
                            .to_owned(),
                    )),
                };
            }
            ("http-response", "set-var" | "set-var-fmt")
            | ("http-request", "set-var" | "set-var-fmt") => {
                self.var(action, &mut words, &mut rule)?;
            }
            (_, name) if name.starts_with("set-var(") || name.starts_with("set-var-fmt(") => {
                self.var(action, &mut words, &mut rule)?;
            }
            ("http-request", name) => match self.request(name, action, &mut words, &mut rule)? {
                true => {}
                false => return Ok(Wanted::Nothing),
            },
            ("http-response" | "http-after-response", "allow") => {
                return Err(Refused::Absent(
                    "response rules cannot be left early".to_owned(),
                ));
            }
            (_, name) => return Err(self.absent(action, name)),
        }
        if kind == "http-after-response" {
            self.after_response(&mut rule)?;
        }
        if rule.used.response && !rule.response {
            return Err(Refused::Absent(
                "it depends on the response, which is not there yet".to_owned(),
            ));
        }
        Ok(Wanted::Rule(rule))
    }

    /// Edits of whatever answer the client gets; they are decided when the request comes.
    fn after_response(&mut self, rule: &mut Rule) -> Result<(), Refused> {
        if rule.used.response {
            return Err(Refused::Absent(
                "it depends on the response; only `http-response` can".to_owned(),
            ));
        }
        let mut body = Table::new();
        for (key, value) in rule.body.iter() {
            match key {
                "set_header" | "add_header" | "remove_header" => {
                    body.set(&key.replace("_header", "_response_header"), value.clone())
                }
                "set_var" => body.set(key, value.clone()),
                _ => {
                    return Err(Refused::Absent(
                        "only `http-response` can do that".to_owned(),
                    ));
                }
            }
        }
        rule.body = body;
        rule.writes.clear();
        Ok(())
    }

    /// A rule with nothing to do yet.
    fn rule(&mut self, line: &Line, condition: Option<&Condition>) -> Result<Rule, Refused> {
        let mut used = Used::default();
        let when = self.when(condition, &mut used)?;
        Ok(Rule {
            comments: line.comments.clone(),
            when,
            used,
            ..Rule::default()
        })
    }

    fn when(&mut self, condition: Option<&Condition>, used: &mut Used) -> Result<When, Refused> {
        let mut read = Vec::new();
        let mut matchers = Matchers {
            maps: &mut self.translator.maps,
            around: self.translator.around,
            read: &mut read,
            named: &mut self.named,
        };
        let when = when(self.draft, condition, &mut matchers, used);
        self.translator.read.extend(read);
        Ok(when?)
    }

    /// Whether the request action became something to do; `false` is what Weir does by itself.
    fn request(
        &mut self,
        name: &str,
        action: &Word,
        words: &mut Words<'_>,
        rule: &mut Rule,
    ) -> Result<bool, Refused> {
        match name {
            "deny" | "tarpit" => {
                reply::deny(
                    name,
                    words,
                    &mut self.translator.maps,
                    self.translator.around,
                    rule,
                )?;
                return Ok(true);
            }
            "return" => {
                reply::reply(
                    words,
                    &mut self.translator.maps,
                    self.translator.around,
                    rule,
                )?;
                return Ok(true);
            }
            "redirect" => {
                redirect::redirect(words, &mut self.translator.maps, rule)?;
                return Ok(true);
            }
            "reject" => {
                rule.body.set("deny", 403_i64);
                rule.used
                    .notes
                    .insert("the client gets 403; HAProxy closes without a word".to_owned());
            }
            "allow" => rule.body.set("stop", true),
            "set-header" | "add-header" | "del-header" | "replace-header" | "replace-value" => {
                self.header(action, words, rule)?;
                return Ok(true);
            }
            "set-method" => {
                let method = words.need("a method")?;
                if method.text.contains('%') {
                    return Err(Refused::Absent(
                        "a method cannot be made of facts".to_owned(),
                    ));
                }
                rule.body.set("set_method", method.text.as_str());
                rule.writes.insert("method".to_owned());
            }
            "set-path" | "set-query" | "set-pathq" | "set-uri" => self.url(name, words, rule)?,
            "replace-path" | "replace-pathq" | "replace-uri" => {
                let pattern = words.need("a regular expression")?.text.as_str();
                template::regular(pattern, false)?;
                let with = words.need("a replacement")?;
                let with = self.replacement(&with.text, rule)?;
                if name != "replace-path" && (pattern.contains('?') && pattern.contains("\\?")) {
                    return Err(Refused::Absent(
                        "path and query can only be replaced apart".to_owned(),
                    ));
                }
                if name != "replace-path" {
                    rule.used.notes.insert(
                        "only the path is compared and replaced; the query stays".to_owned(),
                    );
                }
                rule.body.set(
                    "replace_path",
                    Table::of("regex", pattern).with("with", with),
                );
                rule.used.reads.insert("path".to_owned());
                rule.writes.insert("path".to_owned());
            }
            "normalize-uri" => {
                rule.body.set("set_path", "{path}");
                rule.used.reads.insert("path".to_owned());
                rule.writes.insert("path".to_owned());
                rule.used.notes.insert(
                    "Weir's normal form has unreserved characters decoded, dot segments removed and slashes merged".to_owned(),
                );
                return Ok(true);
            }
            // Weir keeps what it needs for another try by itself, and reads bodies as they come.
            "set-nice"
            | "set-log-level"
            | "wait-for-body"
            | "strict-mode"
            | "set-priority-class"
            | "set-priority-offset" => {
                return Err(self.absent(action, name));
            }
            _ => return Err(self.absent(action, name)),
        }
        words.end()?;
        Ok(true)
    }

    /// Why an action has no equivalent, or that HAProxy does not know it either.
    fn absent(&self, action: &Word, name: &str) -> Refused {
        const KNOWN: [(&str, &str); 33] = [
            ("capture", "the log line has no captured fields"),
            ("set-log-level", "all requests are logged alike"),
            ("set-nice", "requests are served in the order they come"),
            (
                "set-priority-class",
                "requests are served in the order they come",
            ),
            (
                "set-priority-offset",
                "requests are served in the order they come",
            ),
            ("set-mark", "packets are not marked"),
            ("set-tos", "packets are not marked"),
            ("set-src", "the client's address is the connection's"),
            ("set-src-port", "the client's address is the connection's"),
            (
                "set-dst",
                "servers have the addresses that the file gives them",
            ),
            (
                "set-dst-port",
                "servers have the addresses that the file gives them",
            ),
            ("set-map", "maps change when their files do"),
            ("del-map", "maps change when their files do"),
            ("add-acl", "maps change when their files do"),
            ("del-acl", "maps change when their files do"),
            ("track-sc0", "there are no stick tables"),
            ("track-sc1", "there are no stick tables"),
            ("track-sc2", "there are no stick tables"),
            ("sc-inc-gpc0", "there are no stick tables"),
            ("sc-inc-gpc1", "there are no stick tables"),
            ("sc-set-gpt0", "there are no stick tables"),
            ("early-hint", "interim answers come from servers only"),
            (
                "do-resolve",
                "names are resolved when the configuration is loaded",
            ),
            ("wait-for-handshake", "Weir takes no early data"),
            ("wait-for-body", "bodies pass through and are not looked at"),
            (
                "use-service",
                "Weir's own figures are at its admin interface",
            ),
            ("send-spoe-group", "what SPOE agents do is done by plugins"),
            ("silent-drop", "a connection is not dropped without a word"),
            ("disable-l7-retry", "answers are not retried"),
            (
                "strict-mode",
                "an edit that cannot be made is always an error",
            ),
            ("set-timeout", "timeouts are those of the file"),
            ("set-bandwidth-limit", "bandwidth is not limited"),
            ("unset-var", "a variable cannot be taken back"),
        ];
        let bare = name.split('(').next().unwrap_or(name);
        if let Some((_, why)) = KNOWN.iter().find(|(known, _)| *known == bare) {
            return Refused::Absent((*why).to_owned());
        }
        if bare.starts_with("lua.") {
            return Refused::Absent("Lua becomes a plugin of your own".to_owned());
        }
        if bare.starts_with("sc-") || bare.starts_with("track-sc") {
            return Refused::Absent("there are no stick tables".to_owned());
        }
        const HERE: [&str; 20] = [
            "allow",
            "auth",
            "deny",
            "tarpit",
            "redirect",
            "reject",
            "return",
            "set-header",
            "add-header",
            "del-header",
            "replace-header",
            "replace-value",
            "replace-path",
            "set-path",
            "set-query",
            "set-uri",
            "set-method",
            "normalize-uri",
            "set-var",
            "set-status",
        ];
        let problem = wrong(action, format!("unknown action `{name}`"));
        let known = HERE.into_iter().chain(KNOWN.map(|(known, _)| known));
        Refused::Wrong(match crate::nearest::nearest(bare, known) {
            Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
            None => problem,
        })
    }

    fn header(
        &mut self,
        action: &Word,
        words: &mut Words<'_>,
        rule: &mut Rule,
    ) -> Result<(), Refused> {
        let name = words.need("the name of a header")?;
        if OF_THE_PROXY
            .iter()
            .any(|own| name.text.eq_ignore_ascii_case(own))
        {
            return Err(Refused::Absent(format!(
                "`{}` says how the message is framed, which is the proxy's business",
                name.text
            )));
        }
        let name = name.text.as_str();
        match action.text.as_str() {
            "del-header" => {
                if words.take("-m") {
                    let how = words.need("a way to match")?;
                    if how.text != "str" {
                        return Err(Refused::Absent(
                            "fields are removed by their whole names".to_owned(),
                        ));
                    }
                }
                rule.body.set("remove_header", name);
            }
            "replace-header" | "replace-value" => {
                let pattern = words.need("a regular expression")?.text.as_str();
                template::regular(pattern, false)?;
                let with = words.need("a replacement")?;
                let with = self.replacement(&with.text, rule)?;
                if action.text == "replace-value" {
                    rule.used.notes.insert(
                        "the field is compared as a whole, not each of its comma-separated parts"
                            .to_owned(),
                    );
                }
                rule.body.set(
                    "replace_header",
                    Table::of(name, Table::of("regex", pattern).with("with", with)),
                );
                if !rule.response {
                    rule.used
                        .reads
                        .insert(format!("header:{}", name.to_ascii_lowercase()));
                }
            }
            set => {
                let value = self.text(words, rule)?;
                let key = if set == "set-header" {
                    "set_header"
                } else {
                    "add_header"
                };
                rule.body.set(key, Table::of(name, value));
            }
        }
        let name = name.to_ascii_lowercase();
        let fact = if rule.response {
            format!("response_header:{name}")
        } else {
            format!("header:{name}")
        };
        rule.writes.insert(fact);
        Ok(words.end()?)
    }

    /// A log-format text, which may have been written as several words.
    fn text(&mut self, words: &mut Words<'_>, rule: &mut Rule) -> Result<String, Refused> {
        words.need("a value")?;
        let text = words.joined_from_last();
        while words.next().is_some() {}
        Ok(template::format(
            &text,
            &mut self.translator.maps,
            &mut rule.used,
        )?)
    }

    /// What takes the place of what a regular expression matched: `\1` stands for its first group.
    fn replacement(&mut self, text: &str, rule: &mut Rule) -> Result<String, Reason> {
        template::format(text, &mut self.translator.maps, &mut rule.used)
    }

    fn var(
        &mut self,
        action: &Word,
        words: &mut Words<'_>,
        rule: &mut Rule,
    ) -> Result<(), Refused> {
        let inside = action
            .text
            .split_once('(')
            .and_then(|(_, rest)| rest.strip_suffix(')'));
        let name = inside.map(|inside| inside.split(',').next().unwrap_or(inside));
        let name = name
            .filter(|name| !name.is_empty())
            .ok_or_else(|| wrong(action, "write `set-var(txn.NAME) EXPRESSION`"))?;
        if inside.is_some_and(|inside| inside.contains(',')) {
            return Err(Refused::Absent(
                "a variable is set whether or not it is there already".to_owned(),
            ));
        }
        let value = if action.text.starts_with("set-var-fmt") {
            self.text(words, rule)?
        } else {
            let word = words.need("an expression")?;
            let sample = Sample::parse(&word.text).map_err(|what| wrong(word, what))?;
            super::facts::check_known(&sample.fetch.name).map_err(|what| wrong(word, what))?;
            words.end()?;
            template::sample(&sample, &mut self.translator.maps, &mut rule.used)?
        };
        rule.body.set("set_var", Table::of(name, value));
        rule.writes.insert(format!("var:{name}"));
        Ok(())
    }

    fn url(&mut self, name: &str, words: &mut Words<'_>, rule: &mut Rule) -> Result<(), Refused> {
        let text = self.text(words, rule)?;
        let (path, query) = match name {
            "set-path" => (Some(text), None),
            "set-query" => (None, Some(text.trim_start_matches('?').to_owned())),
            _ => match text.split_once('?') {
                // The query with its own question mark.
                Some((path, query)) if !path.ends_with('{') => {
                    (Some(path.to_owned()), Some(query.to_owned()))
                }
                _ if text.ends_with("{?query}") => {
                    (Some(text.trim_end_matches("{?query}").to_owned()), None)
                }
                _ => (Some(text), Some(String::new())),
            },
        };
        if let Some(path) = path {
            if !path.starts_with('/')
                && !path.starts_with("{raw_path")
                && !path.starts_with("{path")
            {
                return Err(Refused::Absent(
                    "a path that does not surely begin with `/`".to_owned(),
                ));
            }
            rule.body.set("set_path", path);
            rule.writes.insert("path".to_owned());
        }
        if let Some(query) = query {
            rule.body.set("set_query", query);
            rule.writes.insert("query".to_owned());
        }
        Ok(())
    }

    /// `http-request auth [realm R] [if …]`.
    fn login(
        &mut self,
        line: &Line,
        words: &mut Words<'_>,
        condition: Option<&Condition>,
    ) -> Result<Wanted, Refused> {
        let mut realm = None;
        while let Some(word) = words.next() {
            match word.text.as_str() {
                "realm" => realm = Some(words.need("a realm")?.text.clone()),
                other => return Err(wrong(word, format!("`{other}` has no meaning here")).into()),
            }
        }
        // Everybody must log in: that is what the plugin basic-auth does by itself.
        if let Some(list) = condition.and_then(|condition| self.whom_to_ask(condition)) {
            return Ok(Wanted::Login { list, realm });
        }
        let mut rule = self.rule(line, condition)?;
        let realm = realm.unwrap_or_else(|| self.draft.name().to_owned());
        let realm = literal(&realm.replace(['"', '\\'], ""));
        rule.body.set("deny", 401_i64);
        rule.body.set(
            "set_response_header",
            Table::of("WWW-Authenticate", format!("Basic realm=\"{realm}\"")),
        );
        Ok(Wanted::Rule(rule))
    }

    /// The list, if the condition is `unless { http_auth(LIST) }`.
    fn whom_to_ask(&self, condition: &Condition) -> Option<String> {
        let [all] = condition.any.as_slice() else {
            return None;
        };
        let [term] = all.as_slice() else { return None };
        let test = match &term.what {
            What::Anonymous(test) => test,
            What::Named(name) => match self.draft.acls.get(&name.text)?.tests.as_slice() {
                [test] => test,
                _ => return None,
            },
        };
        let asks = test.sample.fetch.name == "http_auth"
            && test.sample.converters.is_empty()
            && test.patterns.is_empty();
        let list = test
            .sample
            .fetch
            .argument(0)
            .filter(|_| asks && term.negated != condition.unless)?;
        Some(list.to_owned())
    }

    /// `redirect …` as a directive of its own.
    pub fn redirect(&mut self, line: &Line) -> Result<Wanted, Refused> {
        let (words, condition) = split_condition(&line.words)?;
        if let Some(condition) = &condition {
            check_names(self.draft, condition)?;
        }
        let mut rule = self.rule(line, condition.as_ref())?;
        let mut words = Words::from(&words[0], &words[1..]);
        redirect::redirect(&mut words, &mut self.translator.maps, &mut rule)?;
        Ok(Wanted::Rule(rule))
    }

    /// `tcp-request connection|content|session …` in a proxy that speaks HTTP.
    pub fn tcp(&mut self, line: &Line) -> Result<Wanted, Refused> {
        let (words, condition) = split_condition(&line.words)?;
        if let Some(condition) = &condition {
            check_names(self.draft, condition)?;
        }
        let mut words = Words::from(&words[0], &words[1..]);
        let phase = words.need("`connection`, `content` or `inspect-delay`")?;
        match phase.text.as_str() {
            "inspect-delay" => {
                words.time()?;
                return Ok(Wanted::Nothing);
            }
            "connection" | "session" | "content" => {}
            other => {
                return Err(
                    wrong(phase, format!("`{other}` is no moment of a connection"))
                        .hint("these are connection, session, content and inspect-delay")
                        .into(),
                );
            }
        }
        let action = words.need("an action")?;
        match action.text.as_str() {
            // Later rules of the same kind would be skipped.
            "accept" => {
                let mut rule = self.rule(line, condition.as_ref())?;
                if rule.when.value.is_none()
                    || rule.when.value == Some(Table::of("always", true).into())
                {
                    return Ok(Wanted::Nothing);
                }
                rule.body.set("stop", true);
                rule.used
                    .notes
                    .insert("it ends the rules for the request".to_owned());
                if phase.text == "content" {
                    return Ok(Wanted::Nothing);
                }
                Ok(Wanted::Rule(rule))
            }
            "reject" => {
                let mut rule = self.rule(line, condition.as_ref())?;
                rule.body.set("deny", 403_i64);
                rule.used
                    .notes
                    .insert("the request gets 403; HAProxy closes the connection".to_owned());
                Ok(Wanted::Rule(rule))
            }
            "expect-proxy" => Err(Refused::Absent(
                "a listener takes the PROXY protocol from all or none".to_owned(),
            )),
            name => Err(self.absent(action, name)),
        }
    }

    /// `use_backend NAME|EXPRESSION [if …]`.
    pub fn use_backend(&mut self, line: &Line, backends: &[String]) -> Result<Wanted, Refused> {
        let (words, condition) = split_condition(&line.words)?;
        if let Some(condition) = &condition {
            check_names(self.draft, condition)?;
        }
        let mut words = Words::from(&words[0], &words[1..]);
        let name = words.need("the name of a backend")?;
        words.end()?;
        let mut rule = self.rule(line, condition.as_ref())?;
        if !name.text.contains('%') {
            if !backends.contains(&name.text) {
                let known = backends.iter().map(String::as_str);
                let problem = at(name.place, format!("no backend is called `{}`", name.text));
                return Err(match crate::nearest::nearest(&name.text, known) {
                    Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
                    None => problem,
                }
                .into());
            }
            rule.body.set("use", name.text.as_str());
            return Ok(Wanted::Rule(rule));
        }
        let text = template::format(&name.text, &mut self.translator.maps, &mut rule.used)?;
        let backends: Vec<Value> = backends
            .iter()
            .map(|name| Value::from(name.as_str()))
            .collect();
        rule.body.set(
            "use_one_of",
            Table::of("name", text).with("backends", backends),
        );
        Ok(Wanted::Rule(rule))
    }
}
