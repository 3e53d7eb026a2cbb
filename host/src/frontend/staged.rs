//! An exchange that nobody has: requests and answers as data, and what plugins would be told of them.
//! For the tools of plugin authors, so that what a test gives is read as the proxy reads it.

use std::{fmt::Display, net::SocketAddr};

use super::{
    facts::{Ends, Facts, Vars},
    notes::Notes,
    worker::RequestId,
};
use crate::{
    config::cases::{Given, GivenRequest, GivenResponse},
    http::{
        request::{RequestHead, read_request},
        response::{Asked, ResponseHead, read_response},
        scan::{HeadLimits, Progress, Read},
    },
    model::{Header, Hook, Input},
    net::PeerAddress,
};

/// Why what was given is no exchange.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadGiven {
    #[error("the proxy refuses this request: {message}")]
    Request { message: String },
    #[error("the proxy refuses this response: {message}")]
    Response { message: String },
}

/// An exchange as far as plugins see it.
#[derive(Debug)]
pub struct StagedExchange {
    given: Given,
    head: RequestHead,
    response: ResponseHead,
    ends: Ends,
    vars: Vars,
    notes: Notes,
}

impl StagedExchange {
    /// Fails if the proxy would refuse the request or the response.
    pub fn new(given: &Given) -> Result<Self, BadGiven> {
        let head = request(&given.request)?;
        let response = response(&given.response, head.method())?;
        let mut vars = Vars::default();
        for (name, value) in &given.vars {
            vars.set(Header {
                name: name.clone(),
                value: value.clone(),
            });
        }
        let GivenRequest {
            client, listener, ..
        } = given.request;
        Ok(Self {
            ends: ends(client, listener),
            given: given.clone(),
            head,
            response,
            vars,
            notes: Notes::default(),
        })
    }

    /// The values of `inputs` when `hook` is called: those that are given one by one, and what the proxy
    /// would make of the exchange.
    pub fn values(&self, hook: Hook, inputs: &[Input]) -> Vec<Option<String>> {
        let facts = Facts {
            head: hook.sees_request().then_some(&self.head),
            ends: &self.ends,
            frontend: &self.given.frontend,
            backend: match hook {
                Hook::OnConnection | Hook::OnRequest => None,
                Hook::OnResponse | Hook::Pick | Hook::Lookup | Hook::Assigned => {
                    Some(self.given.backend.as_str())
                }
            },
            vars: &self.vars,
            request_id: RequestId::of_tool(),
            response: hook.sees_response().then_some(&self.response),
            client: None,
            generation: None,
            notes: &self.notes,
        };
        let values = facts.values(inputs);
        let given = |input: &Input| self.given.inputs.iter().find(|(known, _)| known == input);
        inputs
            .iter()
            .zip(values)
            .map(|(input, value)| match given(input) {
                Some((_, value)) => value.clone(),
                None => value.map(|value| value.into_owned()),
            })
            .collect()
    }
}

fn ends(client: SocketAddr, listener: SocketAddr) -> Ends {
    Ends::new(PeerAddress::Ip(client), Some(listener))
}

fn request(given: &GivenRequest) -> Result<RequestHead, BadGiven> {
    let mut text = format!(
        "{} {} HTTP/1.1\r\nHost: {}\r\n",
        given.method, given.target, given.host
    );
    append(&mut text, &given.headers);
    let mut head = RequestHead::default();
    let read = read_request(
        text.as_bytes(),
        &mut Progress::default(),
        &mut head,
        &HeadLimits::default(),
    );
    complete(read).map_err(|message| BadGiven::Request { message })?;
    Ok(head)
}

fn response(given: &GivenResponse, method: &str) -> Result<ResponseHead, BadGiven> {
    let mut text = format!("HTTP/1.1 {} Given\r\n", given.status);
    append(&mut text, &given.headers);
    let mut head = ResponseHead::default();
    let read = read_response(
        text.as_bytes(),
        &mut Progress::default(),
        &mut head,
        &HeadLimits::default(),
        Asked::by(method.as_bytes()),
    );
    complete(read).map_err(|message| BadGiven::Response { message })?;
    Ok(head)
}

fn complete(read: Result<Read, impl Display>) -> Result<(), String> {
    match read {
        Ok(Read::Complete) => Ok(()),
        Ok(Read::Partial) => Err("it does not end".to_owned()),
        Err(bad) => Err(bad.to_string()),
    }
}

fn append(text: &mut String, headers: &[(String, String)]) {
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
}
