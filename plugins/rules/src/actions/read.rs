//! From a rule as written to what it does. All that can be wrong with it is found here.

use std::collections::{BTreeMap, HashMap};

use weir_sdk::{BackendRef, Input, Needs, ResponseInput, maps::Map};

use super::{Action, Body, Ending, FieldEdit, Replace, ResponseAction};
use crate::{
    checks::is_token,
    config::{self, OneOrMany},
    inputs::{Fact, Hook, Inputs},
    problem::{Place, Problem, Problems},
    sample,
    template::{self, Template},
};

/// Fields that say how a message is framed or what a connection does. The proxy would refuse the edit,
/// and with it the request.
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

/// Reads the parts of a rule that say what to do, noting every problem.
pub struct ActionReader<'r> {
    pub inputs: &'r mut Inputs,
    pub problems: &'r mut Problems,
    pub place: &'r Place,
}

impl ActionReader<'_> {
    pub fn action(&mut self, rule: &config::Rule, needs: &mut Needs) -> Option<Action> {
        // Taken apart, so that a new key cannot be forgotten here.
        let config::Rule {
            when: _,
            use_backend,
            use_one_of,
            stop,
            deny,
            reply,
            redirect,
            set_header,
            add_header,
            remove_header,
            replace_header,
            set_response_header,
            add_response_header,
            remove_response_header,
            set_path,
            replace_path,
            set_query,
            set_method,
            set_var,
        } = rule;
        let mut fields = self.fields("", remove_header.as_ref(), set_header, add_header);
        self.replacements(replace_header, &mut fields);
        let replace_path = replace_path
            .as_ref()
            .and_then(|path| self.replace_path(path));
        let response_fields = self.fields(
            "response_",
            remove_response_header.as_ref(),
            set_response_header,
            add_response_header,
        );
        let path = self.url("set_path", set_path.as_deref(), Self::check_path);
        let query = self.url("set_query", set_query.as_deref(), Self::check_query);
        if let Some(method) = set_method {
            let checked = if is_token(method) {
                Ok(())
            } else {
                Err(format!("`{method}` is no method"))
            };
            self.note("set_method", checked);
        }
        let endings = [
            ("use", use_backend.is_some()),
            ("use_one_of", use_one_of.is_some()),
            ("stop", *stop),
            ("deny", deny.is_some()),
            ("reply", reply.is_some()),
            ("redirect", redirect.is_some()),
        ];
        let mut endings = endings
            .into_iter()
            .filter(|(_, is_there)| *is_there)
            .map(|(key, _)| key);
        let ending = match (endings.next(), endings.next()) {
            (Some(first), Some(second)) => {
                self.problems.add(
                    self.place
                        .problem(format!("`{first}` and `{second}`: a rule has one outcome")),
                );
                return None;
            }
            (Some(first), None) => Some(first),
            (None, _) => None,
        };
        let edits = !fields.is_empty()
            || replace_path.is_some()
            || path.is_some()
            || query.is_some()
            || set_method.is_some();
        match ending {
            None if !edits && response_fields.is_empty() && set_var.is_empty() => {
                let what =
                    "a rule that does nothing; add `use`, `deny`, `reply`, `redirect` or an edit";
                self.problems.add(self.place.problem(what));
            }
            Some(key @ ("deny" | "reply" | "redirect")) if edits => {
                let what = format!(
                    "edits a request that `{key}` keeps from every server; for the answer there is `set_response_header`"
                );
                self.problems.add(self.place.problem(what));
            }
            _ => {}
        }
        self.vars(set_var, &mut fields);
        if let Some(one_of) = use_one_of {
            let ending = self.use_one_of(one_of, needs);
            return ending.map(|ending| Action {
                fields,
                path,
                replace_path,
                query,
                method: set_method.clone(),
                response_fields,
                ending: Some(ending),
            });
        }
        let ending = match (use_backend, deny, reply, redirect) {
            _ if *stop => Some(Ending::Stop),
            (Some(backend), ..) => Some(Ending::Use(needs.backend(backend))),
            (_, Some(status), ..) => self.deny(*status),
            (_, _, Some(reply), _) => self.reply(reply),
            (_, _, _, Some(redirect)) => self.redirect(redirect),
            (None, None, None, None) => None,
        };
        Some(Action {
            fields,
            path,
            replace_path,
            query,
            method: set_method.clone(),
            response_fields,
            ending,
        })
    }

    pub fn response_action(&mut self, rule: &config::ResponseRule) -> ResponseAction {
        let config::ResponseRule {
            when: _,
            set_header,
            add_header,
            remove_header,
            replace_header,
            set_status,
            set_var,
        } = rule;
        let mut fields = self.fields("", remove_header.as_ref(), set_header, add_header);
        self.replacements(replace_header, &mut fields);
        self.vars(set_var, &mut fields);
        if let Some(status) = set_status {
            self.note("set_status", check_status(*status, 200));
        }
        if fields.is_empty() && set_status.is_none() {
            let what = "a rule that does nothing; add `set_header`, `set_status` or another edit";
            self.problems.add(self.place.problem(what));
        }
        ResponseAction {
            fields,
            status: *set_status,
        }
    }

    fn deny(&mut self, status: u16) -> Option<Ending> {
        self.note("deny", check_status(status, 400))
            .map(|()| Ending::Deny(status))
    }

    fn reply(&mut self, reply: &config::Reply) -> Option<Ending> {
        let place = self.place.key("reply");
        let checked =
            check_status(reply.status, 200).map_err(|what| place.key("status").problem(what));
        self.problems.note(checked)?;
        if matches!(reply.status, 204 | 304) && !reply.body.is_empty() {
            let what = format!("an answer with status {} has no body", reply.status);
            self.problems.add(place.key("body").problem(what));
        }
        let body = match &reply.body_template {
            None => Body::Fixed(reply.body.clone().into_bytes()),
            Some(_) if !reply.body.is_empty() => {
                self.problems
                    .add(place.problem("`body` and `body_template`: an answer has one body"));
                return None;
            }
            Some(text) => Body::Template(self.body(text, &place.key("body_template"))?),
        };
        let place = place.key("headers");
        let headers = reply
            .headers
            .iter()
            .filter_map(|(name, value)| self.field(name, value, &place));
        Some(Ending::Reply {
            status: reply.status,
            headers: headers.collect(),
            body,
        })
    }

    fn redirect(&mut self, redirect: &config::Redirect) -> Option<Ending> {
        let place = self.place.key("redirect");
        let status = redirect.status.unwrap_or(302);
        if !matches!(status, 301 | 302 | 303 | 307 | 308) {
            let what = format!(
                "`{status}` is no redirect that clients follow; they are 301, 302, 303, 307 and 308"
            );
            self.problems.add(place.key("status").problem(what));
            return None;
        }
        let place = place.key("to");
        let to = self.template(&redirect.to, template::Place::Url, &place)?;
        let is_whole = to.literals().any(|text| text.contains("://"));
        if !is_whole && !to.begins_with("/") && !to.begins_with_path() && !to.begins_with_map() {
            let what = "neither a whole URL such as `https://{host}{path}` nor a path that begins with `/`";
            self.problems.add(place.problem(what));
            return None;
        }
        let host = to.slots().find(|slot| match self.inputs.fact(*slot) {
            Fact::Request(Input::Host) => true,
            Fact::Request(Input::Header(name)) => name == "host",
            _ => false,
        });
        Some(Ending::Redirect { status, to, host })
    }

    /// The edits under `remove_…header`, `set_…header` and `add_…header`, in this order.
    fn fields(
        &mut self,
        infix: &str,
        remove: Option<&OneOrMany<String>>,
        set: &BTreeMap<String, String>,
        add: &BTreeMap<String, OneOrMany<String>>,
    ) -> Vec<FieldEdit> {
        let mut fields = Vec::new();
        for name in remove.map(OneOrMany::as_slice).unwrap_or_default() {
            let place = self.place.key(&format!("remove_{infix}header"));
            let checked = check_field_name(name).map_err(|what| place.problem(what));
            fields.extend(
                self.problems
                    .note(checked)
                    .map(|()| FieldEdit::Remove(name.clone())),
            );
        }
        let place = self.place.key(&format!("set_{infix}header"));
        for (name, value) in set {
            fields.extend(
                self.field(name, value, &place)
                    .map(|(name, value)| FieldEdit::Set(name, value)),
            );
        }
        let place = self.place.key(&format!("add_{infix}header"));
        for (name, values) in add {
            for value in values.as_slice() {
                fields.extend(
                    self.field(name, value, &place)
                        .map(|(name, value)| FieldEdit::Add(name, value)),
                );
            }
        }
        fields
    }

    fn use_one_of(&mut self, one_of: &config::UseOneOf, needs: &mut Needs) -> Option<Ending> {
        let (name, backends) = self.one_of(one_of, needs)?;
        Some(Ending::UseOneOf { name, backends })
    }

    /// A backend by a name that is worked out.
    pub(super) fn one_of(
        &mut self,
        one_of: &config::UseOneOf,
        needs: &mut Needs,
    ) -> Option<(Template, HashMap<String, BackendRef>)> {
        let place = self.place.key("use_one_of");
        if one_of.backends.is_empty() {
            self.problems.add(
                place
                    .key("backends")
                    .problem("an empty list: there is none to use"),
            );
            return None;
        }
        let name = self.template(&one_of.name, template::Place::Field, &place.key("name"))?;
        let backends: HashMap<_, _> = one_of
            .backends
            .iter()
            .map(|name| (name.clone(), needs.backend(name)))
            .collect();
        Some((name, backends))
    }

    /// The edits under `replace_header`.
    fn replacements(
        &mut self,
        headers: &BTreeMap<String, config::Replacement>,
        fields: &mut Vec<FieldEdit>,
    ) {
        for (name, replacement) in headers {
            let place = self.place.key("replace_header").key(name);
            let checked = check_field_name(name).map_err(|what| place.problem(what));
            if self.problems.note(checked).is_none() {
                continue;
            }
            let header = name.to_ascii_lowercase();
            let fact = match self.inputs.hook() {
                Hook::Connection | Hook::Request => Fact::Request(Input::Header(header)),
                Hook::Response => Fact::Response(ResponseInput::Header(header)),
            };
            let replace = self.replace(fact, replacement, template::Place::Field, &place);
            fields.extend(replace.map(|replace| FieldEdit::Replace(name.clone(), replace)));
        }
    }

    fn replace_path(&mut self, replacement: &config::Replacement) -> Option<Replace> {
        let place = self.place.key("replace_path");
        self.replace(
            Fact::Request(Input::RawPath),
            replacement,
            template::Place::Url,
            &place,
        )
    }

    fn replace(
        &mut self,
        fact: Fact,
        replacement: &config::Replacement,
        kind: template::Place,
        place: &Place,
    ) -> Option<Replace> {
        let slot = self.inputs.add(fact).map_err(|bad| place.problem(bad));
        let slot = self.problems.note(slot)?;
        let regex = sample::regex(&replacement.regex, false)
            .map_err(|what| place.key("regex").problem(what));
        let regex = self.problems.note(regex)?;
        let place = place.key("with");
        let with = Template::parse_replacement(&replacement.with, kind, self.inputs)
            .map_err(|error| place.problem(error));
        let with = self.problems.note(with)?;
        self.check_maps(&with, &place);
        Some(Replace { slot, regex, with })
    }

    /// A body is no field: it may have lines.
    fn body(&mut self, text: &str, place: &Place) -> Option<Template> {
        let template = Template::parse(text, template::Place::Body, self.inputs)
            .map_err(|error| place.problem(error));
        let template = self.problems.note(template)?;
        self.check_maps(&template, place);
        Some(template)
    }

    fn check_maps(&mut self, template: &Template, place: &Place) {
        for map in template
            .maps()
            .filter(|map| Map::named(*map).version() == 0)
        {
            let what =
                format!("no map `{map}` is granted to this filter; add `maps = [\"{map}\"]` to it");
            self.problems.add(place.problem(what));
        }
    }

    fn field(&mut self, name: &str, value: &str, place: &Place) -> Option<(String, Template)> {
        let place = place.key(name);
        let checked = check_field_name(name).map_err(|what| place.problem(what));
        self.problems.note(checked)?;
        let value = self.template(value, template::Place::Field, &place)?;
        Some((name.to_owned(), value))
    }

    fn vars(&mut self, vars: &BTreeMap<String, String>, fields: &mut Vec<FieldEdit>) {
        let place = self.place.key("set_var");
        for (name, value) in vars {
            if name.is_empty() {
                self.problems
                    .add(place.key(name).problem("a variable needs a name"));
            }
            let value = self.template(value, template::Place::Field, &place.key(name));
            fields.extend(value.map(|value| FieldEdit::Var(name.clone(), value)));
        }
    }

    fn url(
        &mut self,
        key: &str,
        text: Option<&str>,
        check: fn(&Template) -> Result<(), String>,
    ) -> Option<Template> {
        let place = self.place.key(key);
        let template = self.template(text?, template::Place::Url, &place)?;
        let checked = check(&template).map_err(|what| place.problem(what));
        self.problems.note(checked).map(|()| template)
    }

    fn check_path(path: &Template) -> Result<(), String> {
        if !path.begins_with("/") && !path.begins_with_path() {
            return Err("a path begins with `/`".to_owned());
        }
        match path
            .literals()
            .flat_map(str::chars)
            .find(|c| matches!(c, '?' | '#'))
        {
            Some(c) => Err(format!(
                "a path ends before `{c}`; for the query there is `set_query`"
            )),
            None => Ok(()),
        }
    }

    fn check_query(query: &Template) -> Result<(), String> {
        if query.begins_with("?") {
            return Err("write the query without its `?`".to_owned());
        }
        match query.literals().any(|text| text.contains('#')) {
            true => Err("a query has no `#`".to_owned()),
            false => Ok(()),
        }
    }

    pub(super) fn template(
        &mut self,
        text: &str,
        kind: template::Place,
        place: &Place,
    ) -> Option<Template> {
        let template =
            Template::parse(text, kind, self.inputs).map_err(|error| place.problem(error));
        let template = self.problems.note(template)?;
        self.check_maps(&template, place);
        Some(template)
    }

    fn note(&mut self, key: &str, checked: Result<(), String>) -> Option<()> {
        let checked: Result<(), Problem> =
            checked.map_err(|what| self.place.key(key).problem(what));
        self.problems.note(checked)
    }
}

fn check_status(status: u16, least: u16) -> Result<(), String> {
    if (least..=599).contains(&status) {
        Ok(())
    } else {
        Err(format!("`{status}` is not {least} to 599"))
    }
}

fn check_field_name(name: &str) -> Result<(), String> {
    if !is_token(name) {
        return Err(format!("`{name}` cannot be the name of a header"));
    }
    if OF_THE_PROXY
        .iter()
        .any(|owned| name.eq_ignore_ascii_case(owned))
    {
        return Err(format!(
            "`{name}` is the proxy's own business; it cannot be changed"
        ));
    }
    Ok(())
}
