//! Shuffle sharding: each tenant has a hand of a few servers, dealt by hashing, and its requests go to the
//! least busy of them. A tenant that brings servers down brings down its own hand; with 8 servers and
//! hands of 2, only one tenant in 28 has the same hand.

use std::cmp::Reverse;

use schemars::JsonSchema;
use serde::Deserialize;
use weir_sdk::{Balancer, ConfigError, Handle, Needs, OnPick, Pick, Plugin, Server};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The header that names the tenant.
    tenant: String,
    /// Servers per tenant.
    #[schemars(range(min = 1, max = 64))]
    hand: usize,
}

#[derive(Debug)]
pub struct ShuffleShard {
    tenant: Handle<OnPick>,
    size: usize,
    servers: Vec<Server>,
}

weir_sdk::export!(ShuffleShard: Balancer);

impl Plugin for ShuffleShard {
    type Config = Config;

    fn configure(config: Config, needs: &mut Needs) -> Result<Self, ConfigError> {
        needs.loads();
        Ok(Self {
            tenant: needs.header(&config.tenant),
            size: config.hand,
            servers: Vec::new(),
        })
    }
}

impl Balancer for ShuffleShard {
    fn update(&mut self, servers: &[Server]) {
        self.servers = servers.to_vec();
    }

    fn pick(&mut self, pick: &Pick<'_>) -> Option<usize> {
        let hand = self.hand(pick.values.get(self.tenant));
        let untried = |servers: &[usize]| -> Vec<usize> {
            let untried = servers.iter().filter(|server| !pick.has_tried(**server));
            untried.copied().collect()
        };
        let all: Vec<usize> = (0..self.servers.len()).collect();
        let choices = [untried(&hand), untried(&all), hand];
        let choice = choices.iter().find(|choice| !choice.is_empty())?;
        self.least_busy(choice, pick)
    }
}

impl ShuffleShard {
    /// The positions of a tenant's servers, in order; without a tenant all of them.
    fn hand(&self, tenant: Option<&str>) -> Vec<usize> {
        let mut servers: Vec<usize> = (0..self.servers.len()).collect();
        if let Some(tenant) = tenant.filter(|tenant| !tenant.is_empty()) {
            servers.sort_by_key(|server| Reverse(score(tenant, self.servers[*server].id)));
            servers.truncate(self.size);
            servers.sort_unstable();
        }
        servers
    }

    fn least_busy(&self, servers: &[usize], pick: &Pick<'_>) -> Option<usize> {
        // Busy is (load + 1) / weight, compared without dividing.
        let busy = |server: usize, other: usize| {
            (u64::from(pick.load(server)) + 1) * u64::from(self.servers[other].weight)
        };
        let less_busy = |a: usize, b: usize| match busy(b, a) < busy(a, b) {
            true => b,
            false => a,
        };
        let least = servers.iter().copied().reduce(less_busy)?;
        let is_equal = |server: &&usize| busy(**server, least) == busy(least, **server);
        let equals: Vec<usize> = servers.iter().filter(is_equal).copied().collect();
        Some(equals[(pick.turn % equals.len() as u64) as usize])
    }
}

/// FNV-1a over the tenant, a zero byte and the server's id, with MurmurHash3's last mixing.
fn score(tenant: &str, server: u32) -> u32 {
    let bytes = tenant.bytes().chain([0]).chain(server.to_le_bytes());
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    let hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use weir_sdk::test::{Loaded, Request, request, servers};

    use super::*;

    fn eight() -> Loaded<ShuffleShard> {
        let names = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|name| (name, 1));
        of(&names)
    }

    fn of(names_and_weights: &[(&str, u32)]) -> Loaded<ShuffleShard> {
        let mut plugin = Loaded::new(r#"{ "tenant": "X-Tenant", "hand": 2 }"#).unwrap();
        plugin.update(&servers(names_and_weights));
        plugin
    }

    fn tenant(name: &str) -> Request {
        request().header("X-Tenant", name)
    }

    fn hand(plugin: &mut Loaded<ShuffleShard>, request: &Request) -> BTreeSet<usize> {
        let mut pick = |turn| plugin.pick(turn, request, &[0; 8], &[]);
        (0..20).filter_map(&mut pick).collect()
    }

    #[test]
    fn a_tenant_stays_with_its_hand_and_takes_turns_within_it() {
        let mut plugin = eight();
        let acme = hand(&mut plugin, &tenant("acme"));
        assert_eq!(acme.len(), 2);
        assert_eq!(hand(&mut plugin, &tenant("acme")), acme);
    }

    #[test]
    fn tenants_have_different_hands() {
        let mut plugin = eight();
        let hands: BTreeSet<_> = (0..50)
            .map(|n| hand(&mut plugin, &tenant(&format!("t{n}"))))
            .collect();
        assert!(hands.len() > 15, "{}", hands.len());
    }

    #[test]
    fn the_least_busy_server_of_the_hand_is_picked_by_weight() {
        let mut plugin = of(&[("a", 1), ("b", 3)]);
        assert_eq!(plugin.pick(0, &tenant("x"), &[1, 2], &[]), Some(1));
        assert_eq!(plugin.pick(0, &tenant("x"), &[0, 5], &[]), Some(0));
    }

    #[test]
    fn a_hand_that_was_tried_falls_back_to_the_other_servers() {
        let mut plugin = eight();
        let acme = hand(&mut plugin, &tenant("acme"));
        let tried: Vec<u32> = acme.iter().map(|server| *server as u32).collect();
        let other = plugin.pick(0, &tenant("acme"), &[0; 8], &tried);
        assert!(
            other.is_some_and(|other| !acme.contains(&other)),
            "{other:?}"
        );
    }

    #[test]
    fn without_a_tenant_all_servers_share() {
        assert_eq!(hand(&mut eight(), &request()).len(), 8);
    }
}
