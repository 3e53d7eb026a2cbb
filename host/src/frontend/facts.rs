//! The facts of an exchange that plugins can ask for, computed when one does.

use std::{borrow::Cow, cell::OnceCell, net::SocketAddr};

use smallvec::SmallVec;

use super::worker::RequestId;
use crate::{
    config::{Alpn, Network},
    http::{cookies, facts, request::RequestHead, response::ResponseHead},
    model::{Header, Input},
    net::{PeerAddress, TlsFacts},
};

/// Values handed to a plugin; few enough to stay off the heap.
pub(super) type Values<'a> = SmallVec<[Option<Cow<'a, str>>; 8]>;

/// The two ends of the client's connection. Texts are made once per connection, if at all.
#[derive(Debug)]
pub struct Ends {
    pub peer: PeerAddress,
    pub local: Option<SocketAddr>,
    /// `None`: the connection is in clear text.
    pub tls: Option<Box<TlsFacts>>,
    peer_text: OnceCell<Box<str>>,
    local_text: OnceCell<Box<str>>,
}

impl Ends {
    pub fn new(peer: PeerAddress, local: Option<SocketAddr>) -> Self {
        Self {
            peer: unmapped(peer),
            local,
            tls: None,
            peer_text: OnceCell::new(),
            local_text: OnceCell::new(),
        }
    }

    /// The client's address without the port; none on a Unix socket.
    pub fn client_address(&self) -> Option<&str> {
        let PeerAddress::Ip(peer) = self.peer else {
            return None;
        };
        let text = || peer.ip().to_string().into_boxed_str();
        Some(self.peer_text.get_or_init(text))
    }

    fn client_port(&self) -> Option<u16> {
        match self.peer {
            PeerAddress::Ip(peer) => Some(peer.port()),
            PeerAddress::Unix => None,
        }
    }

    fn listener_address(&self) -> Option<&str> {
        let local = self.local?;
        let text = || local.ip().to_string().into_boxed_str();
        Some(self.local_text.get_or_init(text))
    }

    /// How the client's connection is spoken of in a URL.
    pub fn scheme(&self) -> &'static str {
        match self.tls {
            Some(_) => "https",
            None => "http",
        }
    }

    /// Whether the client's address is in one of `networks`.
    pub fn is_client_in(&self, networks: &[Network]) -> bool {
        match self.peer {
            PeerAddress::Ip(peer) => networks.iter().any(|network| network.contains(peer.ip())),
            PeerAddress::Unix => false,
        }
    }

    /// The port the client connected to; 0 on a Unix socket.
    pub fn listener_port(&self) -> u16 {
        self.local.map_or(0, |local| local.port())
    }
}

/// An IPv4 client of an IPv6 socket is shown as what it is.
fn unmapped(peer: PeerAddress) -> PeerAddress {
    match peer {
        PeerAddress::Ip(address) => {
            PeerAddress::Ip(SocketAddr::new(address.ip().to_canonical(), address.port()))
        }
        PeerAddress::Unix => PeerAddress::Unix,
    }
}

/// Variables that plugins set; they live as long as the exchange.
#[derive(Debug, Default)]
pub struct Vars(Vec<Header>);

impl Vars {
    pub fn get(&self, name: &str) -> Option<&str> {
        let var = self.0.iter().find(|var| var.name == name)?;
        Some(&var.value)
    }

    pub fn set(&mut self, var: Header) {
        match self.0.iter_mut().find(|known| known.name == var.name) {
            Some(known) => known.value = var.value,
            None => self.0.push(var),
        }
    }
}

impl Vars {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn bytes(&self) -> usize {
        self.0
            .iter()
            .map(|var| var.name.len() + var.value.len())
            .sum()
    }
}

/// What is known about an exchange at the moment a plugin is asked.
#[derive(Debug)]
pub struct Facts<'a> {
    pub head: &'a RequestHead,
    pub ends: &'a Ends,
    pub frontend: &'a str,
    pub backend: Option<&'a str>,
    pub vars: &'a Vars,
    pub request_id: RequestId,
    pub response: Option<&'a ResponseHead>,
}

impl<'a> Facts<'a> {
    /// The values of `inputs`, in their order.
    pub(super) fn values(&self, inputs: &'a [Input]) -> Values<'a> {
        inputs.iter().map(|input| self.value(input)).collect()
    }

    fn value(&self, input: &'a Input) -> Option<Cow<'a, str>> {
        let fields = &self.head.fields;
        match input {
            Input::Method => Some(Cow::Borrowed(self.head.method())),
            Input::Path => Some(facts::normalised_path(self.head.raw_path())),
            Input::RawPath => Some(Cow::Borrowed(self.head.raw_path())),
            Input::Query => self.head.query().map(Cow::Borrowed),
            Input::QueryParam(name) => facts::query_param(self.head.query()?, name),
            Input::Host => facts::host(self.head),
            Input::Scheme => Some(Cow::Borrowed(self.ends.scheme())),
            Input::Version => Some(Cow::Borrowed(self.head.version().as_str())),
            Input::ClientAddress => self.ends.client_address().map(Cow::Borrowed),
            Input::ClientPort => self.ends.client_port().map(|port| port.to_string().into()),
            Input::ListenerAddress => self.ends.listener_address().map(Cow::Borrowed),
            Input::ListenerPort => self.ends.local.map(|local| local.port().to_string().into()),
            Input::TlsSni => self.tls(TlsFacts::sni),
            Input::TlsAlpn => self.tls(|tls| tls.alpn().map(Alpn::as_str)),
            Input::TlsVersion => self.tls(|tls| Some(tls.version())),
            Input::TlsCipher => self.tls(|tls| Some(tls.cipher())),
            Input::TlsClientVerified => self.tls(|tls| {
                Some(match tls.is_peer_verified() {
                    true => "true",
                    false => "false",
                })
            }),
            Input::TlsClientSubject => self.tls(TlsFacts::peer_subject),
            Input::TlsClientSan => self.tls(TlsFacts::peer_san),
            Input::TlsClientFingerprint => self.tls(TlsFacts::peer_fingerprint),
            Input::Header(name) => fields.get(name).map(facts::text),
            Input::HeaderAll(name) => facts::joined(fields, name),
            Input::Cookie(name) => cookies::cookie(fields, name).map(facts::text),
            Input::Var(name) => self.vars.get(name).map(Cow::Borrowed),
            Input::FrontendName => Some(Cow::Borrowed(self.frontend)),
            Input::BackendName => self.backend.map(Cow::Borrowed),
            Input::RequestId => Some(self.request_id.to_string().into()),
            Input::Status => self.response.map(|head| head.status().to_string().into()),
            Input::ResponseHeader(name) => self.response?.fields.get(name).map(facts::text),
            Input::ResponseHeaderAll(name) => facts::joined(&self.response?.fields, name),
            Input::ResponseCookie(name) => {
                cookies::set_cookie(&self.response?.fields, name).map(facts::text)
            }
        }
    }
}

impl<'a> Facts<'a> {
    fn tls(&self, fact: impl FnOnce(&'a TlsFacts) -> Option<&'a str>) -> Option<Cow<'a, str>> {
        fact(self.ends.tls.as_deref()?).map(Cow::Borrowed)
    }
}

/// The values as texts.
pub(super) fn texts<'a>(values: &'a Values<'_>) -> impl Iterator<Item = Option<&'a str>> {
    values.iter().map(Option::as_deref)
}

/// What a plugin call takes.
pub(super) fn borrowed<'a>(values: &'a Values<'_>) -> SmallVec<[Option<&'a str>; 8]> {
    texts(values).collect()
}
