//! The functions of the contract that components export: found in the component once, bound to each
//! instance with their types checked.
//!
//! Parameters are borrowed, so that a call copies each value once, into the instance.

use wasmtime::{
    Store,
    component::{
        self, ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Lower, TypedFunc,
    },
};

use super::{
    contract::{Place, Role, full_name},
    imports::State,
    v0_1::{ConnectionDecision, Decision, Edit, Found, Needs, Outcome, PluginInfo, Server},
};

/// The values of a hook's inputs. `'static` stands for any lifetime here: a function takes shorter ones.
type Values = &'static [Option<&'static str>];
/// A number per server, or servers by number; none instead of an empty list.
type Numbers = Option<&'static [u32]>;

type Describe = TypedFunc<(), (PluginInfo,)>;
type Configure = TypedFunc<(&'static str,), (Result<Needs, String>,)>;
type OnConnection = TypedFunc<(Values,), (ConnectionDecision,)>;
type OnRequest = TypedFunc<(Values,), (Decision,)>;
type OnResponse = TypedFunc<(Values,), (Vec<Edit>,)>;
type Update = TypedFunc<(&'static [Server],), ()>;
type Pick = TypedFunc<(u64, Option<Values>, Numbers, Numbers), (Option<u32>,)>;
type Picks = TypedFunc<(u64, u32), (Vec<Option<u32>>,)>;
type Observe = TypedFunc<(u32, Outcome, u64), ()>;
type Lookup = TypedFunc<(Values,), (Found,)>;
type Assigned = TypedFunc<(&'static str, Values), (Vec<Edit>,)>;

/// An instance's functions; `None` where it isn't used in that role.
pub(super) struct Exports {
    pub describe: Describe,
    pub configure: Configure,
    pub on_connection: Option<OnConnection>,
    pub on_request: Option<OnRequest>,
    pub on_response: Option<OnResponse>,
    pub balancer: Option<Balancer>,
    pub picks: Option<Picks>,
    pub observe: Option<Observe>,
    pub persistence: Option<Persistence>,
}

#[derive(Clone, Copy)]
pub(super) struct Balancer {
    pub update: Update,
    pub pick: Pick,
}

#[derive(Clone, Copy)]
pub(super) struct Persistence {
    pub lookup: Lookup,
    pub assigned: Assigned,
}

/// Where a component's functions are.
pub(super) struct ExportIndices {
    describe: ComponentExportIndex,
    configure: ComponentExportIndex,
    on_connection: Option<ComponentExportIndex>,
    on_request: Option<ComponentExportIndex>,
    on_response: Option<ComponentExportIndex>,
    balancer: Option<[ComponentExportIndex; 2]>,
    picks: Option<ComponentExportIndex>,
    observe: Option<ComponentExportIndex>,
    persistence: Option<[ComponentExportIndex; 2]>,
}

/// An interface of the contract that a component exports otherwise than the contract has it.
#[derive(Debug)]
pub(super) struct WrongInterface {
    pub interface: &'static str,
    pub message: String,
}

impl ExportIndices {
    /// Finds the functions of those of `roles` that are called at `place`.
    pub fn find(
        pre: &InstancePre<State>,
        roles: &[Role],
        place: Place,
    ) -> Result<Self, WrongInterface> {
        let find = |interface, function| find(pre.component(), interface, function);
        let find_if = |role: Role, function| {
            let used = roles.contains(&role) && place.plays(role);
            used.then(|| find(role.as_str(), function)).transpose()
        };
        let pair = |role, [first, second]: [&'static str; 2]| {
            let first = find_if(role, first)?;
            let second = find_if(role, second)?;
            Ok(first.zip(second).map(<[_; 2]>::from))
        };
        Ok(Self {
            describe: find("lifecycle", "describe")?,
            configure: find("lifecycle", "configure")?,
            on_connection: find_if(Role::ConnectionFilter, "on-connection")?,
            on_request: find_if(Role::RequestFilter, "on-request")?,
            on_response: find_if(Role::ResponseFilter, "on-response")?,
            balancer: pair(Role::Balancer, ["update", "pick"])?,
            picks: find_if(Role::BalancerAhead, "picks")?,
            observe: find_if(Role::BalancerFeedback, "observe")?,
            persistence: pair(Role::Persistence, ["lookup", "assigned"])?,
        })
    }

    /// The functions of one instance. Fails if one has other types than in the contract.
    pub fn bind(
        &self,
        store: &mut Store<State>,
        instance: &component::Instance,
    ) -> Result<Exports, WrongInterface> {
        let mut binder = Binder { store, instance };
        Ok(Exports {
            describe: binder.function("lifecycle", &self.describe)?,
            configure: binder.function("lifecycle", &self.configure)?,
            on_connection: binder.optional(Role::ConnectionFilter, self.on_connection.as_ref())?,
            on_request: binder.optional(Role::RequestFilter, self.on_request.as_ref())?,
            on_response: binder.optional(Role::ResponseFilter, self.on_response.as_ref())?,
            balancer: match &self.balancer {
                Some([update, pick]) => Some(Balancer {
                    update: binder.function("balancer", update)?,
                    pick: binder.function("balancer", pick)?,
                }),
                None => None,
            },
            picks: binder.optional(Role::BalancerAhead, self.picks.as_ref())?,
            observe: binder.optional(Role::BalancerFeedback, self.observe.as_ref())?,
            persistence: match &self.persistence {
                Some([lookup, assigned]) => Some(Persistence {
                    lookup: binder.function("persistence", lookup)?,
                    assigned: binder.function("persistence", assigned)?,
                }),
                None => None,
            },
        })
    }
}

fn find(
    component: &component::Component,
    interface: &'static str,
    function: &str,
) -> Result<ComponentExportIndex, WrongInterface> {
    let instance = component.get_export_index(None, full_name(interface));
    instance
        .and_then(|instance| component.get_export_index(Some(&instance), function))
        .ok_or_else(|| WrongInterface {
            interface,
            message: format!("no function `{function}`"),
        })
}

struct Binder<'a> {
    store: &'a mut Store<State>,
    instance: &'a component::Instance,
}

impl Binder<'_> {
    fn function<P, R>(
        &mut self,
        interface: &'static str,
        index: &ComponentExportIndex,
    ) -> Result<TypedFunc<P, R>, WrongInterface>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        self.instance
            .get_typed_func(&mut *self.store, index)
            .map_err(|error| WrongInterface {
                interface,
                message: format!("{error:#}"),
            })
    }

    fn optional<P, R>(
        &mut self,
        role: Role,
        index: Option<&ComponentExportIndex>,
    ) -> Result<Option<TypedFunc<P, R>>, WrongInterface>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        index
            .map(|index| self.function(role.as_str(), index))
            .transpose()
    }
}
