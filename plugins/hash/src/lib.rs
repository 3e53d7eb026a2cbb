//! The same server for the same key. Two methods reproduce HAProxy 2.6's mapping exactly.

mod bound;
mod config;
mod key;
mod table;

use weir_sdk::{Balancer, ConfigError, Needs, Pick, Plugin, Schedule, Server};

use crate::{
    bound::Bound,
    config::{Config, Method, On},
    key::{Extent, KeySource},
    table::Table,
};

#[derive(Debug)]
pub struct Hash {
    source: KeySource,
    extent: Extent,
    method: Method,
    table: Table,
    bound: Option<Bound>,
    /// For requests without a key.
    turns: Schedule,
}

weir_sdk::export!(Hash: Balancer);

impl Plugin for Hash {
    type Config = Config;

    fn configure(config: Config, needs: &mut Needs) -> Result<Self, ConfigError> {
        let bound = match (config.balance_factor, config.method) {
            (None, _) => None,
            (Some(factor), _) if factor <= 100 => {
                return Err(ConfigError::at(
                    "/balance_factor",
                    format_args!("{factor} is not above 100, the mean; 125 or 150 are usual"),
                ));
            }
            (Some(_), Method::Modulo) => {
                return Err(ConfigError::at(
                    "/balance_factor",
                    "the method `modulo` knows no bound; take `consistent` or `maglev`",
                ));
            }
            (Some(factor), Method::Consistent | Method::Maglev) => {
                needs.loads();
                Some(Bound::new(factor))
            }
        };
        for (key, said) in [("length", config.length), ("depth", config.depth)] {
            let place = format!("/{key}");
            match said {
                Some(0) => {
                    let what = "0 leaves nothing to hash; leave it out for all of it";
                    return Err(ConfigError::at(&place, what));
                }
                Some(_) if !matches!(config.on, On::Path | On::Uri) => {
                    let what = format!("`{key}` is said of `path` and `uri`; leave it out");
                    return Err(ConfigError::at(&place, what));
                }
                _ => {}
            }
        }
        Ok(Self {
            extent: Extent {
                length: config.length,
                depth: config.depth,
            },
            source: KeySource::new(config.on, needs),
            method: config.method,
            table: Table::new(config.method, &[]),
            bound,
            turns: Schedule::default(),
        })
    }
}

impl Balancer for Hash {
    fn update(&mut self, servers: &[Server]) {
        self.table = Table::new(self.method, servers);
        self.turns = Schedule::smooth(servers);
        if let Some(bound) = &mut self.bound {
            bound.update(servers);
        }
    }

    fn pick(&mut self, pick: &Pick<'_>) -> Option<usize> {
        let Some(key) = self.source.key(&pick.values) else {
            return self.turns.pick(pick);
        };
        let key = self.extent.of(key);
        let room = self.bound.as_ref().map(|bound| bound.at(pick));
        let has_room = |server| room.is_none_or(|room| room.is_left_on(server));
        let mut untried = self
            .table
            .servers_for(key)
            .filter(|&server| !pick.has_tried(server));
        let nearest = untried.next();
        match nearest {
            Some(server) if !has_room(server) => {
                untried.find(|&server| has_room(server)).or(nearest)
            }
            Some(_) => nearest,
            None => self.table.servers_for(key).next(),
        }
    }
}

#[cfg(test)]
mod tests;
