//! Telling a server who its client is: the PROXY header that comes first on a new connection.

use super::facts::Facts;
use crate::{
    config::{ProxyAdditions, SendProxy},
    net::proxy_protocol::{Checked, Tlvs, write_v1, write_v2},
};

/// The header for a connection that is made for what `facts` are about.
pub(super) fn introduction(send: SendProxy, facts: &Facts<'_>) -> Vec<u8> {
    let mut ends = facts.ends.addresses();
    if let (Some(ends), Some(client)) = (&mut ends, facts.client) {
        ends.source = client.socket_address();
    }
    let mut out = Vec::new();
    match send {
        SendProxy::V1 => write_v1(&mut out, ends.as_ref()),
        SendProxy::V2(additions) => {
            let checked = match additions.checksum {
                true => Checked::Yes,
                false => Checked::No,
            };
            let tlvs = tlvs(additions, facts);
            write_v2(&mut out, Some((ends.as_ref(), &tlvs)), checked);
        }
    }
    out
}

/// What is known of what is wanted: of the client's own hello first, then of what the proxy before us said.
fn tlvs(wanted: ProxyAdditions, facts: &Facts<'_>) -> Tlvs {
    let ends = facts.ends;
    let said = ends
        .brought
        .as_ref()
        .and_then(|brought| brought.proxied.as_deref());
    let said = said.cloned().unwrap_or_default();
    let own = |text: &str| text.as_bytes().to_vec();
    let mut tlvs = Tlvs::default();
    if wanted.authority {
        tlvs.authority = ends.server_name().map(own).or(said.authority);
    }
    if wanted.alpn {
        // One that is chosen, not several that are offered.
        let only = match ends.protocols() {
            [only] => Some(own(only)),
            _ => None,
        };
        tlvs.alpn = only.or(said.alpn);
    }
    if wanted.unique_id {
        tlvs.unique_id = said
            .unique_id
            .or_else(|| Some(own(facts.request_id.text().as_str())));
    }
    if wanted.tls {
        tlvs.tls = said.tls;
    }
    tlvs
}
