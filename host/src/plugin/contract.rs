//! The names of the contract: which interface of which version an import or export means, what a
//! component can be used as, and what it asks the proxy for.

use wasmtime::component::types::ComponentItem;

use super::v0_1;

/// What a component can be used as; each is an interface that it exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    ConnectionFilter,
    RequestFilter,
    ResponseFilter,
    Balancer,
    BalancerAhead,
    BalancerFeedback,
    Persistence,
}

impl Role {
    pub const ALL: [Self; 7] = [
        Self::ConnectionFilter,
        Self::RequestFilter,
        Self::ResponseFilter,
        Self::Balancer,
        Self::BalancerAhead,
        Self::BalancerFeedback,
        Self::Persistence,
    ];

    /// The world of the contract whose exports are these, beside `lifecycle`; none for another combination, which a
    /// component may well have.
    pub fn world(roles: &[Self]) -> Option<&'static str> {
        let worlds: [(&str, &[Self]); 8] = [
            ("connection-filter-plugin", &[Self::ConnectionFilter]),
            ("request-filter-plugin", &[Self::RequestFilter]),
            ("response-filter-plugin", &[Self::ResponseFilter]),
            (
                "filter-plugin",
                &[Self::RequestFilter, Self::ResponseFilter],
            ),
            ("balancer-plugin", &[Self::Balancer]),
            (
                "ahead-balancer-plugin",
                &[Self::Balancer, Self::BalancerAhead],
            ),
            (
                "feedback-balancer-plugin",
                &[Self::Balancer, Self::BalancerFeedback],
            ),
            ("persistence-plugin", &[Self::Persistence]),
        ];
        let same = |world: &[Self]| {
            world.len() == roles.len() && world.iter().all(|role| roles.contains(role))
        };
        let found = worlds.iter().find(|(_, world)| same(world));
        found.map(|(name, _)| *name)
    }

    /// The interface's name in the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConnectionFilter => "connection-filter",
            Self::RequestFilter => "request-filter",
            Self::ResponseFilter => "response-filter",
            Self::Balancer => "balancer",
            Self::BalancerAhead => "balancer-ahead",
            Self::BalancerFeedback => "balancer-feedback",
            Self::Persistence => "persistence",
        }
    }
}

/// The place in weir.toml where a plugin stands, which says what it must be able to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// `[[frontend.filter]]`: judges connections, requests, responses or several of them.
    Filter,
    /// `[[frontend.filter]]` where there are no requests: judges connections.
    TcpFilter,
    /// `balance`
    Balancer,
    /// `persistence`
    Persistence,
}

impl Place {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::TcpFilter => "filter of a frontend with `mode = \"tcp\"`",
            Self::Balancer => "balancer",
            Self::Persistence => "persistence plugin",
        }
    }

    /// What a component must export to stand here, in words.
    pub(super) fn wanted_export(self) -> &'static str {
        match self {
            Self::Filter => "`connection-filter`, `request-filter` or `response-filter`",
            Self::TcpFilter => "`connection-filter`",
            Self::Balancer => "`balancer`",
            Self::Persistence => "`persistence`",
        }
    }

    /// Whether a component that exports `roles` can stand here.
    pub fn suits(self, roles: &[Role]) -> bool {
        match self {
            Self::Filter => {
                let filters = [
                    Role::ConnectionFilter,
                    Role::RequestFilter,
                    Role::ResponseFilter,
                ];
                filters.iter().any(|role| roles.contains(role))
            }
            Self::TcpFilter => roles.contains(&Role::ConnectionFilter),
            Self::Balancer => roles.contains(&Role::Balancer),
            Self::Persistence => roles.contains(&Role::Persistence),
        }
    }

    /// Those of a component's roles that are called here.
    pub fn plays(self, role: Role) -> bool {
        match role {
            Role::ConnectionFilter => matches!(self, Self::Filter | Self::TcpFilter),
            Role::RequestFilter | Role::ResponseFilter => self == Self::Filter,
            Role::Balancer | Role::BalancerAhead | Role::BalancerFeedback => self == Self::Balancer,
            Role::Persistence => self == Self::Persistence,
        }
    }
}

/// A host interface of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Import {
    Log,
    Clock,
    Random,
    Maps,
    Counters,
}

impl Import {
    pub const ALL: [Self; 5] = [
        Self::Log,
        Self::Clock,
        Self::Random,
        Self::Maps,
        Self::Counters,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Clock => "clock",
            Self::Random => "random",
            Self::Maps => "maps",
            Self::Counters => "counters",
        }
    }

    /// What an operator writes into a plugin's entry in weir.toml to grant it; none if it always is.
    pub fn grant_line(self) -> Option<&'static str> {
        match self {
            Self::Log => None,
            Self::Clock => Some("grant = [\"clock\"]"),
            Self::Random => Some("grant = [\"random\"]"),
            Self::Maps => Some("maps = [\"NAME\"], with the name of a [[map]]"),
            Self::Counters => Some("counters = [\"NAME\"], with the name of a [[counters]]"),
        }
    }
}

/// The name of an import or export, such as `weir:plugin/balancer@0.1.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interface<'a> {
    package: &'a str,
    name: &'a str,
    version: Option<&'a str>,
}

impl<'a> Interface<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (path, version) = match text.split_once('@') {
            Some((path, version)) => (path, Some(version)),
            None => (text, None),
        };
        let (package, name) = path.split_once('/')?;
        Some(Self {
            package,
            name,
            version,
        })
    }

    /// The interface's own name if it belongs to the contract, of whatever version.
    pub(super) fn of_contract(&self) -> Option<&'a str> {
        (self.package == "weir:plugin").then_some(self.name)
    }

    /// `weir:plugin@0.2.0`
    pub(super) fn package_version(&self) -> String {
        match self.version {
            Some(version) => format!("{}@{version}", self.package),
            None => format!("{} without a version", self.package),
        }
    }

    /// How the interface's version stands to the one that this Weir speaks.
    pub(super) fn compatibility(&self) -> Compatibility {
        let Some(found) = self.version.and_then(numbers) else {
            return Compatibility::Foreign;
        };
        let offered = numbers(v0_1::VERSION).expect("the contract's own version is three numbers");
        // Before 1.0 it is the second number that breaks, and a change of the third only adds.
        if (found.0, found.1) == (offered.0, offered.1) {
            if found.2 <= offered.2 {
                Compatibility::Same
            } else {
                Compatibility::NewerAdditions
            }
        } else if found > offered {
            Compatibility::Newer
        } else {
            Compatibility::Foreign
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compatibility {
    Same,
    /// A later version that only adds: works unless the component uses what was added.
    NewerAdditions,
    Newer,
    Foreign,
}

/// `0.1.2`; a pre-release such as `0.1.0-draft` promises nothing and is none.
fn numbers(version: &str) -> Option<(u64, u64, u64)> {
    let mut parts = version.split('.').map(|part| part.parse::<u64>().ok());
    let numbers = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(numbers)
}

/// The full name under which this Weir knows an interface of the contract.
pub(super) fn full_name(interface: &str) -> String {
    format!("weir:plugin/{interface}@{}", v0_1::VERSION)
}

/// Whether an import brings nothing but type definitions, which needs no grant.
pub(super) fn is_only_types(item: &ComponentItem, engine: &wasmtime::Engine) -> bool {
    match item {
        ComponentItem::ComponentInstance(instance) => instance
            .exports(engine)
            .all(|(_, export)| matches!(export.ty, ComponentItem::Type(_))),
        ComponentItem::Type(_) => true,
        ComponentItem::ComponentFunc(_)
        | ComponentItem::CoreFunc(_)
        | ComponentItem::Module(_)
        | ComponentItem::Component(_)
        | ComponentItem::Resource(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compatibility(name: &str) -> Compatibility {
        Interface::parse(name).unwrap().compatibility()
    }

    #[test]
    fn a_patch_version_adds_and_a_minor_version_breaks() {
        assert_eq!(
            compatibility("weir:plugin/balancer@0.1.0"),
            Compatibility::Same
        );
        assert_eq!(
            compatibility("weir:plugin/balancer@0.1.7"),
            Compatibility::NewerAdditions
        );
        assert_eq!(
            compatibility("weir:plugin/balancer@0.2.0"),
            Compatibility::Newer
        );
        assert_eq!(
            compatibility("weir:plugin/balancer@1.0.0"),
            Compatibility::Newer
        );
        assert_eq!(
            compatibility("weir:plugin/balancer@0.0.9"),
            Compatibility::Foreign
        );
    }

    #[test]
    fn a_version_that_promises_nothing_is_foreign() {
        for name in [
            "weir:plugin/balancer",
            "weir:plugin/balancer@0.1.0-draft",
            "weir:plugin/balancer@0.1",
            "weir:plugin/balancer@0.1.0.0",
        ] {
            assert_eq!(compatibility(name), Compatibility::Foreign, "{name}");
        }
    }

    #[test]
    fn a_world_is_known_by_all_of_its_exports_in_any_order() {
        let (ahead, balancer) = (Role::BalancerAhead, Role::Balancer);
        assert_eq!(Role::world(&[balancer]), Some("balancer-plugin"));
        assert_eq!(
            Role::world(&[ahead, balancer]),
            Some("ahead-balancer-plugin")
        );
        assert_eq!(Role::world(&[balancer, Role::Persistence]), None);
        assert_eq!(Role::world(&[]), None);
    }

    #[test]
    fn only_names_of_the_package_belong_to_the_contract() {
        let name = |text| Interface::parse(text).unwrap().of_contract();
        assert_eq!(name("weir:plugin/maps@0.1.0"), Some("maps"));
        assert_eq!(name("wasi:cli/environment@0.2.3"), None);
        assert_eq!(Interface::parse("describe"), None);
    }
}
