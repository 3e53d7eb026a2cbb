//! The hooks that the proxy calls, as types: a handle made for one hook does not fit another.

/// A hook of a plugin. Each has its own list of inputs.
pub trait Hook: sealed::Hook {}

/// A hook that runs when a server has answered, so it can ask for facts about the response.
pub trait SeesResponse: Hook {}

macro_rules! hook {
    ($(#[$doc:meta])* $name:ident = $position:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {}

        impl sealed::Hook for $name {
            const POSITION: usize = $position;
        }

        impl Hook for $name {}
    };
}

hook!(
    /// [`RequestFilter::on_request`](crate::RequestFilter::on_request)
    OnRequest = 0
);
hook!(
    /// [`ResponseFilter::on_response`](crate::ResponseFilter::on_response)
    OnResponse = 1
);
hook!(
    /// [`Balancer::pick`](crate::Balancer::pick)
    OnPick = 2
);
hook!(
    /// [`Persistence::lookup`](crate::Persistence::lookup)
    OnLookup = 3
);
hook!(
    /// [`Persistence::assigned`](crate::Persistence::assigned)
    OnAssigned = 4
);

hook!(
    /// [`ConnectionFilter::on_connection`](crate::ConnectionFilter::on_connection)
    OnConnection = 5
);

impl SeesResponse for OnResponse {}
impl SeesResponse for OnAssigned {}

/// What the contract calls the hooks, by position.
pub(crate) const NAMES: [&str; 6] = [
    "on-request",
    "on-response",
    "pick",
    "lookup",
    "assigned",
    "on-connection",
];

pub(crate) mod sealed {
    pub trait Hook {
        /// Into [`NAMES`](super::NAMES) and the lists of inputs.
        const POSITION: usize;
    }
}
