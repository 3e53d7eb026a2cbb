//! The facts of an exchange that plugins can ask for, computed when one does.

use std::{borrow::Cow, cell::OnceCell, net::SocketAddr};

use smallvec::SmallVec;

use super::{
    forwarded::ForwardedClient, generation::Generation, live, notes::Notes, worker::RequestId,
};
use crate::{
    config::Network,
    http::{cookies, facts, request::RequestHead, response::ResponseHead},
    model::{BackendName, Header, Held, Input, ProxyFact},
    net::{
        PeerAddress, TlsFacts,
        client_hello::ClientHello,
        proxy_protocol::{self, Tlvs},
    },
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
    /// `None` where there is nothing but addresses, as mostly.
    pub brought: Option<Box<Brought>>,
    peer_text: OnceCell<Box<str>>,
    local_text: OnceCell<Box<str>>,
}

/// What a connection brought with it, and what filters made of that.
#[derive(Debug, Default)]
pub struct Brought {
    pub vars: Vars,
    /// The backend that connection filters chose, by name: the generation may change under a connection.
    pub backend: Option<BackendName>,
    pub hello: Option<ClientHello>,
    /// As many as connection filters asked for.
    pub first_bytes: Vec<u8>,
    /// What a trusted PROXY header said.
    pub proxied: Option<Box<Tlvs>>,
    /// Under which the connection filters were asked.
    pub id: Option<RequestId>,
    /// What filters have counted for as long as the connection lasts.
    pub held: Vec<Held>,
}

impl Ends {
    pub fn new(peer: PeerAddress, local: Option<SocketAddr>) -> Self {
        Self {
            peer: unmapped(peer),
            local,
            tls: None,
            brought: None,
            peer_text: OnceCell::new(),
            local_text: OnceCell::new(),
        }
    }

    /// Believes other addresses than those of the socket.
    pub fn are_really(&mut self, peer: PeerAddress, local: Option<SocketAddr>) {
        *self = Self {
            brought: self.brought.take(),
            ..Self::new(peer, local)
        };
    }

    /// Whether the peer is one whose PROXY header is believed: one in `networks`, or on a Unix socket, where
    /// the file's permissions say who comes.
    pub fn speaks_for_others(&self, networks: &[Network]) -> bool {
        self.peer == PeerAddress::Unix || self.is_client_in(networks)
    }

    /// The variables that connection filters have set.
    pub fn vars(&self) -> &Vars {
        static NONE: Vars = Vars(Vec::new());
        self.brought.as_ref().map_or(&NONE, |brought| &brought.vars)
    }

    /// The backend that connection filters chose. One that a new generation does not have any more was chosen in
    /// vain.
    pub fn chosen_backend(&self, generation: &Generation) -> Option<usize> {
        let name = self.brought.as_ref()?.backend.as_ref()?;
        generation.backend(name)
    }

    /// Both ends, if the client has an address.
    pub fn addresses(&self) -> Option<proxy_protocol::Ends> {
        match (self.peer, self.local) {
            (PeerAddress::Ip(source), Some(destination)) => Some(proxy_protocol::Ends {
                source,
                destination,
            }),
            _ => None,
        }
    }

    /// The host name that the client's TLS hello, or the proxy before this one, said it wants.
    pub fn server_name(&self) -> Option<&str> {
        self.brought
            .as_ref()?
            .hello
            .as_ref()?
            .server_name
            .as_deref()
    }

    /// The protocols that the client's TLS hello offers.
    pub fn protocols(&self) -> &[String] {
        let brought = self.brought.as_ref();
        let hello = brought.and_then(|brought| brought.hello.as_ref());
        hello.map_or(&[], |hello| &hello.protocols)
    }

    fn first_bytes(&self, most: u16) -> Option<Cow<'_, str>> {
        let bytes = &self.brought.as_ref()?.first_bytes;
        let bytes = &bytes[..bytes.len().min(usize::from(most))];
        (!bytes.is_empty()).then(|| facts::text(bytes))
    }

    fn proxied(&self, fact: ProxyFact) -> Option<Cow<'_, str>> {
        let said = self.brought.as_ref()?.proxied.as_deref()?;
        let tls = said.tls.as_ref();
        let bytes = match fact {
            ProxyFact::Authority => said.authority.as_ref(),
            ProxyFact::Alpn => said.alpn.as_ref(),
            ProxyFact::UniqueId => said.unique_id.as_ref(),
            ProxyFact::Netns => said.netns.as_ref(),
            ProxyFact::TlsVersion => tls?.version.as_ref(),
            ProxyFact::TlsCipher => tls?.cipher.as_ref(),
            ProxyFact::TlsClientCn => tls?.client_cn.as_ref(),
            ProxyFact::TlsVerified => {
                return Some(Cow::Borrowed(match tls?.verified {
                    true => "true",
                    false => "false",
                }));
            }
        };
        bytes.map(|bytes| facts::text(bytes))
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
#[derive(Debug, Clone, Default)]
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
    /// `None` where there are no requests, or not yet.
    pub head: Option<&'a RequestHead>,
    pub ends: &'a Ends,
    pub frontend: &'a str,
    pub backend: Option<&'a str>,
    pub vars: &'a Vars,
    pub request_id: RequestId,
    pub response: Option<&'a ResponseHead>,
    /// Who a trusted proxy says the client is; `None`: whoever connected.
    pub client: Option<&'a ForwardedClient>,
    /// What facts of the moment are about; `None` where they are not known.
    pub generation: Option<&'a Generation>,
    /// Where it is noted that one was asked.
    pub notes: &'a Notes,
}

impl<'a> Facts<'a> {
    /// The values of `inputs`, in their order.
    pub(super) fn values(&self, inputs: &'a [Input]) -> Values<'a> {
        inputs.iter().map(|input| self.value(input)).collect()
    }

    pub(super) fn value(&self, input: &'a Input) -> Option<Cow<'a, str>> {
        let head = self.head;
        match input {
            Input::Method => Some(Cow::Borrowed(head?.method())),
            Input::Path => Some(facts::normalised_path(head?.raw_path())),
            Input::RawPath => Some(Cow::Borrowed(head?.raw_path())),
            Input::Query => head?.query().map(Cow::Borrowed),
            Input::QueryParam(name) => facts::query_param(head?.query()?, name),
            Input::Host => facts::host(head?),
            Input::Scheme => Some(Cow::Borrowed(self.ends.scheme())),
            Input::Version => Some(Cow::Borrowed(head?.version().as_str())),
            Input::ClientAddress => match self.client {
                Some(client) => Some(Cow::Borrowed(client.text())),
                None => self.ends.client_address().map(Cow::Borrowed),
            },
            // Of a client that another proxy speaks for it is not known.
            Input::ClientPort if self.client.is_some() => None,
            Input::ClientPort => self.ends.client_port().map(|port| port.to_string().into()),
            Input::ListenerAddress => self.ends.listener_address().map(Cow::Borrowed),
            Input::ListenerPort => self.ends.local.map(|local| local.port().to_string().into()),
            Input::TlsSni => match &self.ends.tls {
                Some(tls) => tls.sni().map(Cow::Borrowed),
                None => self.ends.server_name().map(Cow::Borrowed),
            },
            Input::TlsAlpn => match &self.ends.tls {
                Some(tls) => tls.alpn().map(|alpn| Cow::Borrowed(alpn.as_str())),
                None => match self.ends.protocols() {
                    [] => None,
                    protocols => Some(protocols.join(",").into()),
                },
            },
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
            Input::Header(name) => head?.fields.get(name).map(facts::text),
            Input::HeaderAll(name) => facts::joined(&head?.fields, name),
            Input::Cookie(name) => cookies::cookie(&head?.fields, name).map(facts::text),
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
            Input::FirstBytes(most) => self.ends.first_bytes(*most),
            Input::Proxy(fact) => self.ends.proxied(*fact),
            Input::Live(fact) => live::value(self.generation?, fact),
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
