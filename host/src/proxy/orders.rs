//! What operators have ordered about versions of plugins while the proxy runs: another one tried out, one that
//! has taken the place of the file's. Laid over each configuration that is loaded, until the file says something
//! else at that use, another order undoes it, or the process ends.

use tracing::{info, warn};

use crate::{
    config::{Config, Next, PluginUse},
    telemetry::PluginPlace,
};

/// One order.
#[derive(Debug, Clone)]
pub struct Order {
    pub place: PluginPlace,
    pub wish: Wish,
}

#[derive(Debug, Clone)]
pub enum Wish {
    /// This is tried out, in place of whatever is.
    Try(Box<Next>),
    /// What is tried out takes the place of what is used.
    Promote,
    /// Nothing is tried out any more; where nothing was, the file's version is used again.
    Return,
    /// The file counts again.
    Reset,
}

/// Why an order means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    #[error("no plugin is used at `{0}` any more")]
    NoUse(PluginPlace),
    #[error("no new version is tried out at `{0}`, so none can take its place")]
    NothingTried(PluginPlace),
    #[error(
        "no new version is tried out at `{0}`, and what is used there is the file's, so there is nothing to return from"
    )]
    NothingToReturnFrom(PluginPlace),
    #[error("nothing was ordered at `{0}`: all is as the file says")]
    NothingOrdered(PluginPlace),
}

/// What was ordered of one use.
#[derive(Debug, Clone)]
pub struct Ordered {
    pub place: PluginPlace,
    /// What the file said then.
    pub of_file: PluginUse,
    pub now: PluginUse,
}

/// All orders that hold, one for each use at most.
#[derive(Debug, Clone, Default)]
pub struct Orders(Vec<Ordered>);

impl Orders {
    pub fn iter(&self) -> impl Iterator<Item = &Ordered> {
        self.0.iter()
    }

    pub fn at(&self, place: &PluginPlace) -> Option<&Ordered> {
        self.0.iter().find(|ordered| ordered.place == *place)
    }

    /// Makes the order in `config`, which the orders so far are laid over, and remembers it.
    pub fn carry_out(&mut self, order: &Order, config: &mut Config) -> Result<(), Objection> {
        let place = &order.place;
        let found = uses_mut(config).find(|(known, _)| known == place);
        let (_, used) = found.ok_or_else(|| Objection::NoUse(place.clone()))?;
        let of_file = self.at(place).map(|ordered| &ordered.of_file);
        let now = match (&order.wish, &used.next, of_file) {
            (Wish::Try(next), _, _) => PluginUse {
                next: Some(next.clone()),
                ..used.clone()
            },
            (Wish::Promote, Some(next), _) => next.used.clone(),
            (Wish::Promote, None, _) => return Err(Objection::NothingTried(place.clone())),
            (Wish::Return, Some(_), _) => without_next(used),
            (Wish::Return, None, Some(of_file)) if !without_next(of_file).says_as(used) => {
                without_next(of_file)
            }
            (Wish::Return, None, _) => return Err(Objection::NothingToReturnFrom(place.clone())),
            (Wish::Reset, _, Some(of_file)) => of_file.clone(),
            (Wish::Reset, _, None) => return Err(Objection::NothingOrdered(place.clone())),
        };
        let of_file = of_file.unwrap_or(used).clone();
        *used = now.clone();
        self.0.retain(|ordered| ordered.place != *place);
        if !now.says_as(&of_file) {
            self.0.push(Ordered {
                place: place.clone(),
                of_file,
                now,
            });
        }
        Ok(())
    }

    /// Carries out all orders in a configuration that has just been loaded. What the file says something else
    /// about by now is forgotten, which the log tells.
    pub fn lay_over(&mut self, config: &mut Config) {
        self.0.retain_mut(|ordered| {
            let found = uses_mut(config).find(|(known, _)| *known == ordered.place);
            let Some((place, used)) = found else {
                let place = &ordered.place;
                warn!("what was ordered at {place} while the proxy ran is forgotten: the file uses no plugin there any more");
                return false;
            };
            if used.says_as(&ordered.now) {
                info!("what was ordered at {place} while the proxy ran is in the file now");
                return false;
            }
            if !used.says_as(&ordered.of_file) {
                warn!("what was ordered at {place} while the proxy ran is forgotten: the file says something else there now");
                return false;
            }
            // Errors of the file's own version are shown where it stands now.
            ordered.of_file = used.clone();
            *used = ordered.now.clone();
            true
        });
    }
}

fn without_next(used: &PluginUse) -> PluginUse {
    PluginUse {
        next: None,
        ..used.clone()
    }
}

/// Every use of a plugin with its place.
pub fn uses(config: &Config) -> impl Iterator<Item = (PluginPlace, &PluginUse)> {
    let of_frontends = config.frontends.iter().flat_map(|it| {
        let filters = it.filters.iter().enumerate();
        filters.map(|(position, used)| {
            let frontend = it.name.clone();
            (PluginPlace::Filter { frontend, position }, used)
        })
    });
    let of_backends = config.backends.iter().flat_map(|it| {
        let filters = it.filters.iter().enumerate();
        let filters = filters.map(|(position, used)| {
            let backend = it.name.clone();
            (PluginPlace::BackendFilter { backend, position }, used)
        });
        let balancer = (PluginPlace::Balancer(it.name.clone()), &it.balancer);
        let persistence = it.persistence.iter();
        let persistence = persistence.map(|used| (PluginPlace::Persistence(it.name.clone()), used));
        filters.chain([balancer]).chain(persistence)
    });
    of_frontends.chain(of_backends)
}

fn uses_mut(config: &mut Config) -> impl Iterator<Item = (PluginPlace, &mut PluginUse)> {
    let of_frontends = config.frontends.iter_mut().flat_map(|it| {
        let name = &it.name;
        let filters = it.filters.iter_mut().enumerate();
        filters.map(move |(position, used)| {
            let frontend = name.clone();
            (PluginPlace::Filter { frontend, position }, used)
        })
    });
    let of_backends = config.backends.iter_mut().flat_map(|it| {
        let name = &it.name;
        let filters = it.filters.iter_mut().enumerate();
        let filters = filters.map(move |(position, used)| {
            let backend = name.clone();
            (PluginPlace::BackendFilter { backend, position }, used)
        });
        let balancer = (PluginPlace::Balancer(name.clone()), &mut it.balancer);
        let persistence = it.persistence.iter_mut();
        let persistence =
            persistence.map(move |used| (PluginPlace::Persistence(name.clone()), used));
        filters.chain([balancer]).chain(persistence)
    });
    of_frontends.chain(of_backends)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        config::{parse, read_order},
        model::BackendName,
    };

    const FILE: &str = "[[frontend]]\nname = \"web\"\nbind = [\"127.0.0.1:8080\"]\ndefault_backend = \"api\"\n\
        [[backend]]\nname = \"api\"\nbalance = \"hash\"\n[[backend.server]]\nname = \"a\"\naddress = \"127.0.0.1:1\"\n";

    fn file(text: &str) -> Config {
        parse(Path::new("/etc/weir/weir.toml"), text).unwrap()
    }

    fn with_next() -> String {
        let table =
            "balance = { plugin = \"hash\", next = { plugin = \"random\", mode = \"shadow\" } }";
        FILE.replace("balance = \"hash\"", table)
    }

    fn order(wish: Wish) -> Order {
        let place = PluginPlace::Balancer(BackendName::new("api"));
        Order { place, wish }
    }

    fn a_try(config: &Config, plugin: &str) -> Wish {
        let text = format!("plugin = \"{plugin}\"\nmode = \"canary\"\nshare = \"5%\"");
        let used = &config.backends[0].balancer;
        Wish::Try(Box::new(read_order(&text, used, config).unwrap()))
    }

    fn shown(config: &Config) -> (String, Option<String>) {
        let used = &config.backends[0].balancer;
        let next = used.next.as_ref();
        (used.source_text(), next.map(|it| it.used.source_text()))
    }

    /// What holds after these orders, and after the file was read again.
    fn after(text: &str, wishes: &[fn(&Config) -> Wish]) -> (String, Option<String>) {
        let (mut config, mut orders) = (file(text), Orders::default());
        for wish in wishes {
            let wish = wish(&config);
            orders.carry_out(&order(wish), &mut config).unwrap();
        }
        let mut again = file(text);
        orders.lay_over(&mut again);
        assert_eq!(shown(&again), shown(&config), "after a reload");
        shown(&config)
    }

    fn is(used: &str, next: Option<&str>) -> (String, Option<String>) {
        (used.to_owned(), next.map(str::to_owned))
    }

    #[test]
    fn what_was_ordered_holds_after_a_reload() {
        let random: fn(&Config) -> Wish = |config| a_try(config, "random");
        let leastconn: fn(&Config) -> Wish = |config| a_try(config, "least-conn");
        let [promote, back, reset]: [fn(&Config) -> Wish; 3] =
            [|_| Wish::Promote, |_| Wish::Return, |_| Wish::Reset];
        assert_eq!(after(FILE, &[random]), is("hash", Some("random")));
        assert_eq!(
            after(FILE, &[random, leastconn]),
            is("hash", Some("least-conn"))
        );
        assert_eq!(after(FILE, &[random, promote]), is("random", None));
        assert_eq!(after(FILE, &[random, back]), is("hash", None));
        assert_eq!(after(FILE, &[random, promote, back]), is("hash", None));
        let twice = [random, promote, leastconn];
        assert_eq!(after(FILE, &twice), is("random", Some("least-conn")));
        let one_back = [random, promote, leastconn, back];
        assert_eq!(after(FILE, &one_back), is("random", None));
        assert_eq!(after(FILE, &[random, promote, reset]), is("hash", None));
        let text = with_next();
        assert_eq!(after(&text, &[promote]), is("random", None));
        assert_eq!(
            after(&text, &[promote, back]),
            is("hash", None),
            "and not the try again"
        );
        assert_eq!(after(&text, &[back]), is("hash", None));
        assert_eq!(after(&text, &[back, reset]), is("hash", Some("random")));
    }

    #[test]
    fn an_order_that_means_nothing_is_objected_to() {
        let mut config = file(FILE);
        let mut orders = Orders::default();
        let mut said = |wish| {
            orders
                .carry_out(&order(wish), &mut config)
                .unwrap_err()
                .to_string()
        };
        assert!(said(Wish::Promote).contains("no new version is tried out"));
        assert!(said(Wish::Return).contains("nothing to return from"));
        assert!(said(Wish::Reset).contains("nothing was ordered"));
        config.backends.clear();
        let gone = orders
            .carry_out(&order(Wish::Promote), &mut config)
            .unwrap_err();
        assert_eq!(
            gone.to_string(),
            "no plugin is used at `backend/api/balancer` any more"
        );
    }

    #[test]
    fn a_file_that_says_something_else_counts() {
        let (mut config, mut orders) = (file(FILE), Orders::default());
        let random = a_try(&config, "random");
        orders.carry_out(&order(random), &mut config).unwrap();
        let mut moved = file(&format!("# a line more\n{FILE}"));
        orders.lay_over(&mut moved);
        assert_eq!(
            shown(&moved),
            is("hash", Some("random")),
            "the same elsewhere"
        );
        let mut changed = file(&FILE.replace("\"hash\"", "\"least-conn\""));
        orders.lay_over(&mut changed);
        assert_eq!(shown(&changed), is("least-conn", None));
        let mut again = file(FILE);
        orders.lay_over(&mut again);
        assert_eq!(shown(&again), is("hash", None), "it was forgotten");

        let random = a_try(&again, "random");
        orders.carry_out(&order(random), &mut again).unwrap();
        orders.carry_out(&order(Wish::Promote), &mut again).unwrap();
        let mut written = file(&FILE.replace("\"hash\"", "\"random\""));
        orders.lay_over(&mut written);
        assert_eq!(shown(&written), is("random", None));
        assert!(orders.iter().next().is_none(), "the file has it now");
    }

    #[test]
    fn an_order_is_read_by_the_rules_of_the_file() {
        let config = file(FILE);
        let read = |text: &str| {
            let used = &config.backends[0].balancer;
            read_order(text, used, &config).map_err(|errors| errors.to_string())
        };
        let said =
            read("plugin = \"random\"\nmode = \"canary\"\nshare = \"5\"\ncolour = 1").unwrap_err();
        for part in [
            "command:3:9: `share` is `5`",
            "command:4:1: unknown key `colour`",
        ] {
            assert!(said.contains(part), "{said}");
        }
        let said = read("mode = \"shadow\"").unwrap_err();
        assert!(said.contains("next needs `plugin`"), "{said}");
        let next =
            read("plugin = \"./new.wasm\"\nmode = \"canary\"\nsteps = [\"5% 10m\", \"100%\"]")
                .unwrap();
        assert_eq!(next.used.source_text(), "/etc/weir/new.wasm");
        assert_eq!(next.share.to_string(), "5%");
    }
}
