//! What wit-bindgen makes of the contract. Authors never see these types; the rest of the crate wraps
//! them.
//!
//! Each interface that a plugin can export is generated apart, as a world of its own: the section that
//! tells wit-component what a plugin exports comes with the export macro of the interface, so a
//! balancer doesn't promise a filter's functions. wit-component joins the sections of one plugin.

#![allow(
    unsafe_code,
    unused_qualifications,
    clippy::all,
    reason = "it is generated, and passes memory across the sandbox's border"
)]

/// The host's interfaces and the types that several hooks share.
pub mod imports {
    wit_bindgen::generate!({
        path: "../wit/v0.1",
        inline: "
            package weir:sdk-imports;
            world shared {
                include weir:plugin/imports@0.1.0;
                import weir:plugin/types@0.1.0;
            }
        ",
        generate_all,
        generate_unused_types: true,
        additional_derives: [Clone, PartialEq, Eq],
    });
}

macro_rules! exported {
    ($module:ident, $wit:literal $(, $types:tt)?) => {
        pub mod $module {
            wit_bindgen::generate!({
                path: "../wit/v0.1",
                inline: $wit,
                generate_all,
                pub_export_macro: true,
                additional_derives: [Clone, PartialEq, Eq],
                $(with: { "weir:plugin/types@0.1.0": crate::contract::imports::weir::plugin::$types },)?
            });
        }
    };
}

exported!(
    lifecycle,
    "package weir:sdk-lifecycle; world lifecycle { export weir:plugin/lifecycle@0.1.0; }"
);
exported!(
    connection_filter,
    "package weir:sdk-connection-filter; world connection-filter { export weir:plugin/connection-filter@0.1.0; }"
);
exported!(
    request_filter,
    "package weir:sdk-request-filter; world request-filter { export weir:plugin/request-filter@0.1.0; }",
    types
);
exported!(
    response_filter,
    "package weir:sdk-response-filter; world response-filter { export weir:plugin/response-filter@0.1.0; }",
    types
);
exported!(
    balancer,
    "package weir:sdk-balancer; world balancer { export weir:plugin/balancer@0.1.0; }"
);
exported!(
    balancer_ahead,
    "package weir:sdk-balancer-ahead; world balancer-ahead { export weir:plugin/balancer-ahead@0.1.0; }"
);
exported!(
    balancer_feedback,
    "package weir:sdk-balancer-feedback; world balancer-feedback { export weir:plugin/balancer-feedback@0.1.0; }"
);
exported!(
    persistence,
    "package weir:sdk-persistence; world persistence { export weir:plugin/persistence@0.1.0; }",
    types
);
