//! Counting, and judging whether it is too much.

use weir_sdk::{
    ConfigError,
    counters::{Counter, Table},
};

use crate::config::{At, Config, Counts, Limit as Wanted, Of};

#[derive(Debug)]
pub struct Limits {
    limits: Vec<Limit>,
    counts: Counts,
    /// Names of variables and the counters whose values they get.
    vars: Vec<(String, Counter)>,
}

#[derive(Debug)]
struct Limit {
    counter: Counter,
    most: Option<u64>,
    of: Of,
}

/// What was found of one key.
pub struct Outcome {
    pub too_many: Option<Over>,
    pub vars: Vec<(String, u64)>,
}

/// The limit that was exceeded and that will be so for longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over {
    limit: usize,
}

impl Limits {
    pub fn new(config: &Config, table: &Table) -> Result<Self, ConfigError> {
        if config.limit.is_empty() {
            let why = "nothing would be counted; write `limit = [{ most = 100 }]`";
            return Err(ConfigError::at("/limit", why));
        }
        let mut limits: Vec<Limit> = Vec::new();
        for (index, wanted) in config.limit.iter().enumerate() {
            let limit = read(wanted, config.at, table)
                .map_err(|error| ConfigError::at(&format!("/limit/{index}"), error))?;
            let twice = limits.iter().any(|known| known.counter == limit.counter);
            if twice && limit.of != Of::Nothing {
                let why = format!("`{}` would be counted twice", limit.counter.name());
                return Err(ConfigError::at(&format!("/limit/{index}"), why));
            }
            limits.push(limit);
        }
        let vars = config.set_vars.iter().map(|(var, counter)| {
            let at = |error| ConfigError::at(&format!("/set_vars/{var}"), error);
            Ok((var.clone(), table.counter(counter).map_err(at)?))
        });
        Ok(Self {
            limits,
            counts: config.counts,
            vars: vars.collect::<Result<_, ConfigError>>()?,
        })
    }

    /// Whether answers have to be looked at.
    pub fn count_answers(&self) -> bool {
        let mut limits = self.limits.iter();
        limits.any(|limit| matches!(limit.of, Of::ClientErrors | Of::ServerErrors))
    }

    /// Counts and judges what is asked for with this key.
    pub fn judge(&self, key: &str) -> Outcome {
        let refused = match self.counts {
            Counts::All => None,
            Counts::Passed => self.exceeded(|limit| limit.would_exceed(key)),
        };
        let too_many = refused.or_else(|| self.exceeded(|limit| limit.count(key)));
        let vars = self.vars.iter();
        Outcome {
            too_many,
            vars: vars
                .map(|(var, counter)| (var.clone(), counter.read(key)))
                .collect(),
        }
    }

    /// Asks all limits, since all of them count, and names the one with the longest window that says yes.
    fn exceeded(&self, exceeds: impl Fn(&Limit) -> bool) -> Option<Over> {
        let mut over = None;
        for (position, limit) in self.limits.iter().enumerate() {
            let window = limit.counter.window();
            if exceeds(limit) && over.is_none_or(|(longest, _)| window > longest) {
                over = Some((window, position));
            }
        }
        over.map(|(_, limit)| Over { limit })
    }

    pub fn count_answer(&self, of: Of, key: &str) {
        for limit in self.limits.iter().filter(|limit| limit.of == of) {
            limit.counter.add(key, 1);
        }
    }
}

fn read(wanted: &Wanted, at: At, table: &Table) -> Result<Limit, ConfigError> {
    if at == At::Connection && !matches!(wanted.of, Of::All | Of::Nothing) {
        return Err(ConfigError::new(
            "answers belong to requests; leave `at` out, or `of`",
        ));
    }
    Ok(Limit {
        counter: match &wanted.counter {
            Some(name) => table.counter(name)?,
            None => table.only_counter()?,
        },
        most: wanted.most,
        of: wanted.of,
    })
}

impl Limit {
    /// Counts one more where this limit counts what is asked for. Whether that is too many.
    fn count(&self, key: &str) -> bool {
        match (self.of, self.most) {
            (Of::All, most) => {
                // One that found no place in a full table is let through.
                let count = self.counter.add(key, 1).unwrap_or(0);
                most.is_some_and(|most| count > most)
            }
            (Of::ClientErrors | Of::ServerErrors | Of::Nothing, _) => self.would_exceed(key),
        }
    }

    /// Whether one more would be too many.
    fn would_exceed(&self, key: &str) -> bool {
        self.most.is_some_and(|most| self.counter.read(key) >= most)
    }
}

impl Over {
    /// After how many seconds the next would be let through if none came until then.
    pub fn seconds(self, key: &str, limits: &Limits) -> Option<u64> {
        let limit = &limits.limits[self.limit];
        let before_the_last = limit.most?.checked_sub(1)?;
        let wait = limit.counter.falls_to(key, before_the_last)?;
        Some(wait.as_millis().div_ceil(1_000).max(1) as u64)
    }
}
