//! Sends a stable share of clients to another backend: a new version meets five in a hundred, always the
//! same ones, until the share is raised.

use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::{
    BackendRef, ConfigError, Decision, Handle, Input, Needs, OnRequest, Plugin, RequestFilter,
    Values,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The backend that gets the share.
    backend: String,
    /// Of all clients, from 0 to 100.
    #[schemars(range(min = 0.0, max = 100.0))]
    percent: f64,
    /// The cookie that tells clients apart; their address where there is none.
    cookie: Option<String>,
}

#[derive(Debug)]
pub struct Split {
    backend: BackendRef,
    /// Clients whose hash is below this.
    below: u64,
    cookie: Option<Handle<OnRequest>>,
    address: Handle<OnRequest>,
}

weir_sdk::export!(Split: RequestFilter);

impl Plugin for Split {
    type Config = Config;

    fn configure(config: Config, needs: &mut Needs) -> Result<Self, ConfigError> {
        Ok(Self {
            backend: needs.backend(&config.backend),
            below: (config.percent / 100.0 * 2_f64.powi(32)) as u64,
            cookie: config.cookie.map(|name| needs.cookie(&name)),
            address: needs.input(Input::ClientAddress),
        })
    }
}

impl RequestFilter for Split {
    fn on_request(&mut self, values: &Values<'_, OnRequest>) -> Decision {
        let cookie = self.cookie.and_then(|cookie| values.get(cookie));
        let Some(client) = cookie.or_else(|| values.get(self.address)) else {
            return Decision::pass();
        };
        match u64::from(hash(client)) < self.below {
            true => Decision::use_backend(self.backend),
            false => Decision::pass(),
        }
    }
}

/// FNV-1a with MurmurHash3's last mixing, so that neighbouring addresses are not neighbours.
fn hash(text: &str) -> u32 {
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    let hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use weir_sdk::test::{Loaded, request};

    use super::*;

    fn chosen(percent: u32) -> Vec<String> {
        let config =
            format!(r#"{{ "backend": "next", "percent": {percent}, "cookie": "client" }}"#);
        let mut split = Loaded::<Split>::new(config).unwrap();
        let clients = (0..2_000).map(|n| format!("c{n}"));
        let next = |client: &String| {
            let decision = split.on_request(&request().cookie("client", client));
            split.backend_of(&decision) == Some("next")
        };
        clients.filter(next).collect()
    }

    #[test]
    fn the_share_is_what_was_asked_for_and_grows_with_it() {
        let (few, more) = (chosen(5), chosen(20));
        assert!((70..130).contains(&few.len()), "{}", few.len());
        assert!((340..460).contains(&more.len()), "{}", more.len());
        assert!(few.iter().all(|client| more.contains(client)));
        assert_eq!(chosen(0).len(), 0);
        assert_eq!(chosen(100).len(), 2_000);
    }

    #[test]
    fn who_has_no_cookie_goes_by_address() {
        let config = r#"{ "backend": "next", "percent": 50, "cookie": "client" }"#;
        let mut split = Loaded::<Split>::new(config).unwrap();
        let ask = |split: &mut Loaded<Split>, client: &str| {
            split.on_request(&request().client(client)).verdict
        };
        let first = ask(&mut split, "192.0.2.1");
        assert_eq!(ask(&mut split, "192.0.2.1"), first);
        let others: Vec<_> = (2..40)
            .map(|n| ask(&mut split, &format!("192.0.2.{n}")))
            .collect();
        assert!(others.iter().any(|verdict| *verdict != first));
    }
}
