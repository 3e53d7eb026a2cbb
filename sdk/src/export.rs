//! What [`export!`](crate::export) expands to: the functions that the proxy calls, around one instance
//! of the author's type.

use std::{marker::PhantomData, panic, time::Duration};

use crate::{
    balancing::{Outcome, Pick, Server},
    config,
    contract::{
        balancer::exports::weir::plugin::balancer,
        balancer_ahead::exports::weir::plugin::balancer_ahead,
        balancer_feedback::exports::weir::plugin::balancer_feedback,
        connection_filter::exports::weir::plugin::connection_filter,
        imports::weir::plugin::types::Edit, lifecycle::exports::weir::plugin::lifecycle,
        persistence::exports::weir::plugin::persistence,
        request_filter::exports::weir::plugin::request_filter,
        response_filter::exports::weir::plugin::response_filter,
    },
    log,
    needs::Needs,
    plugin::{
        AheadBalancer, Balancer, ConnectionFilter, FeedbackBalancer, Persistence, Plugin,
        RequestFilter, ResponseFilter,
    },
    values::Values,
};

/// Makes a type the plugin that this crate builds: `weir_sdk::export!(Tiers: RequestFilter)`.
///
/// Roles are joined with `+`: `RequestFilter + ResponseFilter`, `Balancer + FeedbackBalancer`. They are
/// what the type implements of [`ConnectionFilter`], [`RequestFilter`], [`ResponseFilter`], [`Balancer`],
/// [`AheadBalancer`], [`FeedbackBalancer`] and [`Persistence`]. Use it once per crate.
#[macro_export]
macro_rules! export {
    ($plugin:ident: $role:ident $(+ $more:ident)*) => {
        const _: () = {
            ::std::thread_local! {
                static INSTANCE: ::std::cell::RefCell<::std::option::Option<$plugin>> =
                    const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }

            impl $crate::export::Exported for $plugin {
                const NAME: &'static str = ::std::env!("CARGO_PKG_NAME");
                const VERSION: &'static str = ::std::env!("CARGO_PKG_VERSION");
                const SUMMARY: &'static str = ::std::env!("CARGO_PKG_DESCRIPTION");

                #[inline]
                fn with_slot<R>(use_it: impl FnOnce(&mut ::std::option::Option<Self>) -> R) -> R {
                    INSTANCE.with_borrow_mut(use_it)
                }
            }

            // Only a guest has exports; in a native test two plugins' would collide.
            #[cfg(target_arch = "wasm32")]
            type Component = $crate::export::Component<$plugin>;
            #[cfg(target_arch = "wasm32")]
            $crate::contract::lifecycle::export!(Component with_types_in $crate::contract::lifecycle);
            $crate::__export_role!($role $plugin);
            $($crate::__export_role!($more $plugin);)*
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_role {
    (ConnectionFilter $plugin:ident) => {
        $crate::__export_role!(connection_filter ConnectionFilter $plugin);
    };
    (RequestFilter $plugin:ident) => {
        $crate::__export_role!(request_filter RequestFilter $plugin);
    };
    (ResponseFilter $plugin:ident) => {
        $crate::__export_role!(response_filter ResponseFilter $plugin);
    };
    (Balancer $plugin:ident) => {
        $crate::__export_role!(balancer Balancer $plugin);
    };
    (AheadBalancer $plugin:ident) => {
        $crate::__export_role!(balancer_ahead AheadBalancer $plugin);
    };
    (FeedbackBalancer $plugin:ident) => {
        $crate::__export_role!(balancer_feedback FeedbackBalancer $plugin);
    };
    (Persistence $plugin:ident) => {
        $crate::__export_role!(persistence Persistence $plugin);
    };
    ($other:ident $plugin:ident) => {
        ::std::compile_error!(::std::concat!(
            "no role named `", ::std::stringify!($other),
            "`; there are ConnectionFilter, RequestFilter, ResponseFilter, Balancer, AheadBalancer, FeedbackBalancer, Persistence"
        ));
    };
    ($interface:ident $role:ident $plugin:ident) => {
        const _: fn() = || {
            fn plays_the_role<P: $crate::$role>() {}
            plays_the_role::<$plugin>();
        };
        #[cfg(target_arch = "wasm32")]
        $crate::contract::$interface::export!(Component with_types_in $crate::contract::$interface);
    };
}

/// A plugin that `export!` has given a place to live.
pub trait Exported: Plugin {
    const NAME: &'static str;
    const VERSION: &'static str;
    const SUMMARY: &'static str;

    /// The one instance; none until it is configured.
    fn with_slot<R>(use_it: impl FnOnce(&mut Option<Self>) -> R) -> R;

    #[inline]
    fn with<R>(use_it: impl FnOnce(&mut Self) -> R) -> R {
        Self::with_slot(|slot| {
            use_it(
                slot.as_mut()
                    .expect("the proxy configures before it calls a hook"),
            )
        })
    }
}

/// Joins the contract's functions to the author's type.
pub struct Component<P>(PhantomData<P>);

impl<P: Exported> lifecycle::Guest for Component<P> {
    fn describe() -> lifecycle::PluginInfo {
        lifecycle::PluginInfo {
            name: P::NAME.to_owned(),
            version: P::VERSION.to_owned(),
            summary: P::SUMMARY.to_owned(),
            config_schema: config::schema::<P::Config>(),
        }
    }

    fn configure(config: String) -> Result<lifecycle::Needs, String> {
        log_panics();
        let mut needs = Needs::default();
        let plugin = config::parse(&config)
            .and_then(|config| P::configure(config, &mut needs))
            .map_err(|error| error.to_string())?;
        P::with_slot(|slot| *slot = Some(plugin));
        Ok(needs.into_contract())
    }
}

impl<P: Exported + ConnectionFilter> connection_filter::Guest for Component<P> {
    fn on_connection(values: Vec<Option<String>>) -> connection_filter::Decision {
        P::with(|plugin| plugin.on_connection(&Values::new(&values))).into_contract()
    }
}

impl<P: Exported + RequestFilter> request_filter::Guest for Component<P> {
    fn on_request(values: Vec<Option<String>>) -> request_filter::Decision {
        P::with(|plugin| plugin.on_request(&Values::new(&values))).into_contract()
    }
}

impl<P: Exported + ResponseFilter> response_filter::Guest for Component<P> {
    fn on_response(values: Vec<Option<String>>) -> Vec<Edit> {
        P::with(|plugin| plugin.on_response(&Values::new(&values))).0
    }
}

impl<P: Exported + Balancer> balancer::Guest for Component<P> {
    fn update(servers: Vec<balancer::Server>) {
        let servers: Vec<Server> = servers.into_iter().map(Server::from_contract).collect();
        P::with(|plugin| plugin.update(&servers));
    }

    fn pick(
        turn: u64,
        values: Option<Vec<Option<String>>>,
        loads: Option<Vec<u32>>,
        tried: Option<Vec<u32>>,
    ) -> Option<u32> {
        // The contract has none in place of an empty list, as none needs no allocation.
        let pick = Pick {
            turn,
            values: Values::new(values.as_deref().unwrap_or_default()),
            loads: loads.as_deref().unwrap_or_default(),
            tried: tried.as_deref().unwrap_or_default(),
        };
        P::with(|plugin| plugin.pick(&pick)).map(|server| server as u32)
    }
}

impl<P: Exported + AheadBalancer> balancer_ahead::Guest for Component<P> {
    fn picks(first: u64, count: u32) -> Vec<Option<u32>> {
        let turns = (0..u64::from(count)).map(|ahead| first.wrapping_add(ahead));
        P::with(|plugin| {
            turns
                .map(|turn| plugin.pick(&Pick::in_turn(turn)))
                .map(|picked| picked.map(|server| server as u32))
                .collect()
        })
    }
}

impl<P: Exported + FeedbackBalancer> balancer_feedback::Guest for Component<P> {
    fn observe(index: u32, outcome: balancer_feedback::Outcome, microseconds: u64) {
        let outcome = match outcome {
            balancer_feedback::Outcome::Success => Outcome::Success,
            balancer_feedback::Outcome::ConnectFailed => Outcome::ConnectFailed,
            balancer_feedback::Outcome::TimedOut => Outcome::TimedOut,
            balancer_feedback::Outcome::ServerError => Outcome::ServerError,
            balancer_feedback::Outcome::Aborted => Outcome::Aborted,
        };
        let took = Duration::from_micros(microseconds);
        P::with(|plugin| plugin.observe(index as usize, outcome, took));
    }
}

impl<P: Exported + Persistence> persistence::Guest for Component<P> {
    fn lookup(values: Vec<Option<String>>) -> persistence::Found {
        let found = P::with(|plugin| plugin.lookup(&Values::new(&values)));
        persistence::Found {
            server: found.server,
            edits: found.edits.0,
        }
    }

    fn assigned(server: String, values: Vec<Option<String>>) -> Vec<Edit> {
        P::with(|plugin| plugin.assigned(&server, &Values::new(&values))).0
    }
}

impl Server {
    fn from_contract(server: balancer::Server) -> Self {
        Self {
            name: server.name,
            id: server.id,
            weight: server.weight,
            limit: std::num::NonZeroU32::new(server.limit),
        }
    }
}

/// A guest has no standard error, so without this a panic would be a bare `unreachable` trap.
fn log_panics() {
    panic::set_hook(Box::new(|panic| log::error(panic)));
}
