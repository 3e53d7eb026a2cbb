//! The contract's functions as core functions: what the canonical ABI makes of their types.

/// An exported function.
pub struct Function {
    pub interface: &'static str,
    pub name: &'static str,
    pub parameters: &'static str,
    pub result: &'static str,
}

const VALUES: &str = "(param $values i32) (param $count i32)";
const ADDRESS: &str = "(result i32)";

pub const FUNCTIONS: [Function; 11] = [
    Function {
        interface: "lifecycle",
        name: "describe",
        parameters: "",
        // name, version, summary, schema: four texts of two words
        result: ADDRESS,
    },
    Function {
        interface: "lifecycle",
        name: "configure",
        parameters: "(param $config i32) (param $length i32)",
        // 0: 0 (ok) or 1; 4: three lists of two words, or the error's text
        result: ADDRESS,
    },
    Function {
        interface: "connection-filter",
        name: "on-connection",
        parameters: VALUES,
        // 0: 0 pass, 1 use-backend, 2 refuse; 4: backend or refusal; 8: variables
        result: ADDRESS,
    },
    Function {
        interface: "request-filter",
        name: "on-request",
        parameters: VALUES,
        // 0: 0 pass, 1 use-backend, 2 reply, 3 deny; 4: backend or status, or the reply: status,
        // 8: headers, 16: body; 24: edits; 32: response edits
        result: ADDRESS,
    },
    Function {
        interface: "response-filter",
        name: "on-response",
        parameters: VALUES,
        // list of edits: address, length. An edit has 20 bytes: 0: case, 4: its texts
        result: ADDRESS,
    },
    Function {
        interface: "balancer",
        name: "update",
        parameters: "(param $servers i32) (param $count i32)",
        result: "",
    },
    Function {
        interface: "balancer",
        name: "pick",
        // before each list whether there is one
        parameters: "(param $turn i64) \
                     (param $has_values i32) (param $values i32) (param $count i32) \
                     (param $has_loads i32) (param $loads i32) (param $load_count i32) \
                     (param $has_tried i32) (param $tried i32) (param $tried_count i32)",
        // 0: 0 (none) or 1; 4: the position
        result: ADDRESS,
    },
    Function {
        interface: "balancer-ahead",
        name: "picks",
        parameters: "(param $first i64) (param $turns i32)",
        // list of picks: address, length. A pick has 8 bytes: 0: 0 (none) or 1; 4: the position
        result: ADDRESS,
    },
    Function {
        interface: "balancer-feedback",
        name: "observe",
        parameters: "(param $index i32) (param $outcome i32) (param $microseconds i64)",
        result: "",
    },
    Function {
        interface: "persistence",
        name: "lookup",
        parameters: VALUES,
        // 0: 0 (none) or 1; 4: the server's text; 12: edits
        result: ADDRESS,
    },
    Function {
        interface: "persistence",
        name: "assigned",
        parameters: "(param $server i32) (param $server_length i32) \
                     (param $values i32) (param $count i32)",
        // list of edits, as on-response
        result: ADDRESS,
    },
];
