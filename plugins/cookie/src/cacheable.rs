//! Whether a cache between the proxy and the client could keep a response, and with it the cookie.

use weir_sdk::{Handle, Input, Needs, OnAssigned, ResponseInput, Values};

/// The facts that decide it.
#[derive(Debug)]
pub struct Cacheability {
    method: Handle<OnAssigned>,
    status: Handle<OnAssigned>,
    cache_control: Handle<OnAssigned>,
    pragma: Handle<OnAssigned>,
    expires: Handle<OnAssigned>,
    etag: Handle<OnAssigned>,
    last_modified: Handle<OnAssigned>,
}

impl Cacheability {
    pub fn new(needs: &mut Needs) -> Self {
        Self {
            method: needs.input(Input::Method),
            status: needs.response_input(ResponseInput::Status),
            cache_control: needs
                .response_input(ResponseInput::HeaderAll("cache-control".to_owned())),
            pragma: needs.response_input(ResponseInput::HeaderAll("pragma".to_owned())),
            expires: needs.response_header("expires"),
            etag: needs.response_header("etag"),
            last_modified: needs.response_header("last-modified"),
        }
    }

    /// As HAProxy judges: a GET with a status that is cacheable by default, something to be fresh or
    /// validated by, and nothing against it.
    pub fn is_given(&self, values: &Values<'_, OnAssigned>) -> bool {
        let control = || directives(values.get(self.cache_control));
        let mut pragmas = directives(values.get(self.pragma));
        let forbids = |directive: &str| {
            ["private", "no-store", "no-cache", "max-age=0"]
                .iter()
                .any(|forbidding| directive.eq_ignore_ascii_case(forbidding))
        };
        let gives_age = |directive: &str| {
            let name = directive.split('=').next().unwrap_or(directive);
            name.eq_ignore_ascii_case("max-age") || name.eq_ignore_ascii_case("s-maxage")
        };
        let has = |handle| values.get(handle).is_some();

        values.get(self.method) == Some("GET")
            && values.get(self.status).is_some_and(is_cacheable_by_default)
            && !control().any(forbids)
            && !pragmas.any(|pragma| pragma.eq_ignore_ascii_case("no-cache"))
            && (control().any(gives_age)
                || has(self.expires)
                || has(self.etag)
                || has(self.last_modified))
    }
}

fn directives(field: Option<&str>) -> impl Iterator<Item = &str> {
    field.unwrap_or("").split(',').map(str::trim)
}

/// RFC 9110, §15.1, as far as HAProxy follows it.
fn is_cacheable_by_default(status: &str) -> bool {
    let cacheable = [
        "200", "203", "204", "206", "300", "301", "404", "405", "410", "414", "501",
    ];
    cacheable.contains(&status)
}
