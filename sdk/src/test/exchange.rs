//! Made-up requests and responses, and the facts that the proxy would take from them.

use super::live::Live;

/// `GET / HTTP/1.1` of `127.0.0.1`, to be built upon.
pub fn request() -> Request {
    Request {
        method: "GET".to_owned(),
        path: "/".to_owned(),
        raw_path: None,
        query: None,
        host: None,
        scheme: "http".to_owned(),
        client_address: "127.0.0.1".to_owned(),
        frontend: "web".to_owned(),
        backend: "app".to_owned(),
        headers: Vec::new(),
        vars: Vec::new(),
        live: Live::default(),
    }
}

/// A response without fields, to be built upon.
pub fn response(status: u16) -> Response {
    Response {
        status,
        headers: Vec::new(),
    }
}

/// What a plugin under test sees of a request.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    path: String,
    raw_path: Option<String>,
    query: Option<String>,
    host: Option<String>,
    scheme: String,
    client_address: String,
    frontend: String,
    backend: String,
    headers: Vec<(String, String)>,
    vars: Vec<(String, String)>,
    live: Live,
}

/// What a plugin under test sees of a response.
#[derive(Debug, Clone)]
pub struct Response {
    status: u16,
    headers: Vec<(String, String)>,
}

impl Request {
    pub fn method(mut self, method: &str) -> Self {
        self.method = method.to_owned();
        self
    }

    /// The path as plugins see it, already normalised by the proxy.
    pub fn path(mut self, path: &str) -> Self {
        self.path = path.to_owned();
        self
    }

    /// The path as the client sent it; without this it is the same as the path.
    pub fn raw_path(mut self, path: &str) -> Self {
        self.raw_path = Some(path.to_owned());
        self
    }

    /// Without `?`.
    pub fn query(mut self, query: &str) -> Self {
        self.query = Some(query.to_owned());
        self
    }

    pub fn host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    pub fn scheme(mut self, scheme: &str) -> Self {
        self.scheme = scheme.to_owned();
        self
    }

    /// The client's IP address.
    pub fn client(mut self, address: &str) -> Self {
        self.client_address = address.to_owned();
        self
    }

    pub fn frontend(mut self, name: &str) -> Self {
        self.frontend = name.to_owned();
        self
    }

    pub fn backend(mut self, name: &str) -> Self {
        self.backend = name.to_owned();
        self
    }

    /// Adds a field; `Cookie` too.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a Cookie field with this one cookie.
    pub fn cookie(self, name: &str, value: &str) -> Self {
        self.header("cookie", &format!("{name}={value}"))
    }

    /// A variable that an earlier filter has set.
    pub fn var(mut self, name: &str, value: &str) -> Self {
        self.vars.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What holds at the moment about something that weir.toml names, by the fact's name in the contract:
    /// `live("usable-servers(app)", "0")`. Panics if the contract has no such fact.
    pub fn live(mut self, input: &str, value: &str) -> Self {
        self.live.set(input, value);
        self
    }

    /// The fact of that name in the contract. Panics if the contract has no such fact of a request.
    pub(super) fn fact(&self, input: &str) -> Option<String> {
        let (kind, name) = kind_and_name(input);
        match kind {
            "method" => Some(self.method.clone()),
            "path" => Some(self.path.clone()),
            "raw-path" => Some(self.raw_path.as_ref().unwrap_or(&self.path).clone()),
            "query" => self.query.clone(),
            "query-param" => self.query_param(name),
            "host" => self.host.clone(),
            "scheme" => Some(self.scheme.clone()),
            "version" => Some("HTTP/1.1".to_owned()),
            "client-address" => Some(self.client_address.clone()),
            "client-port" => Some("40000".to_owned()),
            "listener-address" => Some("127.0.0.1".to_owned()),
            "listener-port" => Some("8080".to_owned()),
            "header" => fields(&self.headers, name).last().map(str::to_owned),
            "header-all" => joined(&self.headers, name),
            "cookie" => self.cookie_value(name),
            "var" => fields(&self.vars, name).last().map(str::to_owned),
            "frontend-name" => Some(self.frontend.clone()),
            "backend-name" => Some(self.backend.clone()),
            "request-id" => Some("01H000000000".to_owned()),
            _ => match self.live.fact(input) {
                Some(fact) => fact,
                None => panic!("the contract has no input `{input}` of a request"),
            },
        }
    }

    fn query_param(&self, name: &str) -> Option<String> {
        self.query
            .as_ref()?
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .find_map(|(key, value)| (key == name).then(|| value.to_owned()))
    }

    fn cookie_value(&self, name: &str) -> Option<String> {
        fields(&self.headers, "cookie")
            .flat_map(|field| field.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find_map(|(key, value)| (key == name).then(|| value.to_owned()))
    }
}

impl Response {
    /// Adds a field.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The fact of that name in the contract; none if the contract has no such fact of a response.
    pub(super) fn fact(&self, input: &str) -> Option<Option<String>> {
        let (kind, name) = kind_and_name(input);
        Some(match kind {
            "status" => Some(self.status.to_string()),
            "response-header" => fields(&self.headers, name).last().map(str::to_owned),
            "response-header-all" => joined(&self.headers, name),
            "response-cookie" => fields(&self.headers, "set-cookie")
                .map(|field| field.split(';').next().unwrap_or(field))
                .filter_map(|pair| pair.trim().split_once('='))
                .find_map(|(key, value)| (key == name).then(|| value.to_owned())),
            _ => return None,
        })
    }
}

/// `header(x-tier)` → `("header", "x-tier")`
fn kind_and_name(input: &str) -> (&str, &str) {
    match input.split_once('(') {
        Some((kind, name)) => (kind, name.strip_suffix(')').unwrap_or(name)),
        None => (input, ""),
    }
}

fn fields<'a>(all: &'a [(String, String)], name: &'a str) -> impl Iterator<Item = &'a str> {
    all.iter()
        .filter(move |(field, _)| field.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

fn joined(all: &[(String, String)], name: &str) -> Option<String> {
    let values: Vec<&str> = fields(all, name).collect();
    (!values.is_empty()).then(|| values.join(", "))
}
