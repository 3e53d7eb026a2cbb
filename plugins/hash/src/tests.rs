//! The mappings called HAProxy's were recorded from HAProxy 2.6.12 with the same servers and keys.

use weir_sdk::test::{Loaded, Request, request, servers};

use super::*;

fn hash(config: &str, weights: &[u32]) -> Loaded<Hash> {
    let mut plugin = Loaded::new(config).expect("the config is sound");
    plugin.update(&weighted(weights));
    plugin
}

fn weighted(weights: &[u32]) -> Vec<Server> {
    let named: Vec<(&str, u32)> = weights.iter().map(|&weight| ("s", weight)).collect();
    servers(&named)
}

fn pick(plugin: &mut Loaded<Hash>, request: &Request) -> usize {
    plugin
        .pick(0, request, &[0; 9], &[])
        .expect("there are servers")
}

/// The servers of 40 requests, counted from 1.
fn picks(config: &str, weights: &[u32], request: impl Fn(u32) -> Request) -> String {
    let mut plugin = hash(config, weights);
    (0..40)
        .map(|n| char::from(b'1' + pick(&mut plugin, &request(n)) as u8))
        .collect()
}

fn path(n: u32) -> Request {
    request().path(&format!("/p{n}"))
}

fn uri(n: u32) -> Request {
    path(n).query(&format!("q={}", n * 7))
}

fn header(n: u32) -> Request {
    request().header("X-Key", &format!("user-{n}"))
}

fn source(n: u32) -> Request {
    request().client(&format!("127.{}.{}.{}", n * 5, n * 3, n + 1))
}

const MODULO: [(&str, &str); 4] = [
    ("path", r#"{"on": "path"}"#),
    ("uri", r#"{"on": "uri"}"#),
    ("header", r#"{"on": {"header": "x-key"}}"#),
    ("source", r#"{"on": "source"}"#),
];

const CONSISTENT: [(&str, &str); 4] = [
    ("path", r#"{"on": "path", "method": "consistent"}"#),
    ("uri", r#"{"on": "uri", "method": "consistent"}"#),
    (
        "header",
        r#"{"on": {"header": "x-key"}, "method": "consistent"}"#,
    ),
    ("source", r#"{"on": "source", "method": "consistent"}"#),
];

fn check(configs: [(&str, &str); 4], weights: &[u32], expected: [&str; 4]) {
    for ((on, config), expected) in configs.into_iter().zip(expected) {
        let picks = match on {
            "path" => picks(config, weights, path),
            "uri" => picks(config, weights, uri),
            "header" => picks(config, weights, header),
            _ => picks(config, weights, source),
        };
        assert_eq!(picks, expected, "{config} over {weights:?}");
    }
}

#[test]
fn modulo_maps_as_haproxy_with_its_default_hash_type() {
    check(
        MODULO,
        &[1, 1, 1],
        [
            "2312312312312312312312312312312312312312",
            "3121321321213212213232133213231332132113",
            "2312312312123123123123123123123123123123",
            "3333333333333333333333333333333333333333",
        ],
    );
    check(
        MODULO,
        &[1, 2, 3],
        [
            "3232313232232313232332313232312313232313",
            "2131231231213212332333133233221232132132",
            "2313232313323132323123132323133132323132",
            "3232323232323232323232323232323232323232",
        ],
    );
    check(
        MODULO,
        &[10, 20, 5, 1, 7],
        [
            "1221252122125212235124152212252235122312",
            "2112212212112115222122122322221255422252",
            "1224152212122531223523125212231223512212",
            "1212151512123252523241352222222252313121",
        ],
    );
}

#[test]
fn consistent_maps_as_haproxy_with_hash_type_consistent() {
    check(
        CONSISTENT,
        &[1, 1, 1],
        [
            "1331123133311321131231113122222131312233",
            "2333213221233132123321213131313232123221",
            "3313232313233221322133213313332132232311",
            "2132121331121331311333211232111211121113",
        ],
    );
    check(
        CONSISTENT,
        &[1, 2, 3],
        [
            "1221123133331321331232113122222331312233",
            "2322233221233132123323213132233332123221",
            "3333233313223231222133213313332333333311",
            "3123121331121331313233233332111311121133",
        ],
    );
    check(
        CONSISTENT,
        &[10, 20, 5, 1, 7],
        [
            "1222153155251255312252514122212311522532",
            "2222231222223522222351223211525421222221",
            "2153522321532211222222213322342223323251",
            "3453112511523231315522121525225515521543",
        ],
    );
}

#[test]
fn an_ipv6_source_is_the_xor_of_its_words() {
    let mut plugin = hash(r#"{"on": "source"}"#, &[1, 1, 1, 1, 1]);
    // 0x20010db8 ^ 0x1 = 0x20010db9 = 536939961, which leaves 1 when divided by 5.
    assert_eq!(pick(&mut plugin, &request().client("2001:db8::1")), 1);
}

fn check_only_lost_keys_move(method: &str) {
    let config = format!(r#"{{"on": "path", "method": "{method}"}}"#);
    let all = weighted(&[1, 2, 3, 1]);
    let without_third: Vec<Server> = all
        .iter()
        .filter(|server| server.id != 3)
        .cloned()
        .collect();
    let mut plugin = hash(&config, &[]);
    let mut ids = |servers: &[Server]| -> Vec<u32> {
        plugin.update(servers);
        (0..2000)
            .map(|n| servers[pick(&mut plugin, &path(n))].id)
            .collect()
    };
    let (before, after, back) = (ids(&all), ids(&without_third), ids(&all));

    assert_eq!(
        before, back,
        "with the old servers every key is where it was"
    );
    let moved = before
        .iter()
        .zip(&after)
        .filter(|(before, after)| before != after)
        .count();
    let lost = before.iter().filter(|&&id| id == 3).count();
    let excess = moved - lost;
    // Maglev's table repairs itself at a few other places too; the paper measures under 2 %.
    let tolerated = if method == "maglev" { 100 } else { 0 };
    assert!(
        excess <= tolerated,
        "{method} moved {excess} keys that had not lost their server"
    );
}

#[test]
fn only_a_lost_servers_keys_move() {
    check_only_lost_keys_move("consistent");
    check_only_lost_keys_move("maglev");
}

fn check_sticks(config: &str, with_key: impl Fn(&str) -> Request) {
    let mut plugin = hash(config, &[1, 1, 1]);
    let mut round = || -> Vec<usize> {
        (0..30)
            .map(|n| pick(&mut plugin, &with_key(&format!("k{n}"))))
            .collect()
    };
    let spread = round();
    assert_eq!(spread, round(), "{config}");
    assert!(
        (0..3).all(|server| spread.contains(&server)),
        "{config}: {spread:?}"
    );
}

#[test]
fn other_kinds_of_keys_stick_too() {
    check_sticks(r#"{"on": {"cookie": "SID"}}"#, |key| {
        request().cookie("SID", key)
    });
    check_sticks(r#"{"on": {"query_param": "id"}}"#, |key| {
        request().query(&format!("a=b&id={key}"))
    });
    check_sticks(r#"{"on": {"var": "user"}}"#, |key| {
        request().var("user", key)
    });
}

#[test]
fn requests_without_a_key_take_turns() {
    for method in ["modulo", "consistent", "maglev"] {
        let config = format!(r#"{{"on": {{"header": "x-key"}}, "method": "{method}"}}"#);
        assert_eq!(hash(&config, &[1, 1, 1]).picks(6), "123123");
    }
    let mut plugin = hash(r#"{"on": "source"}"#, &[1, 1]);
    let over_a_unix_socket = request().client("unix");
    assert_eq!(plugin.pick(1, &over_a_unix_socket, &[], &[]), Some(1));
}

#[test]
fn a_server_that_failed_gives_its_key_to_the_one_that_would_have_it() {
    for method in ["modulo", "consistent", "maglev"] {
        let config = format!(r#"{{"on": "path", "method": "{method}"}}"#);
        let mut plugin = hash(&config, &[1, 1, 1]);
        for n in 0..20 {
            let first = pick(&mut plugin, &path(n)) as u32;
            let second = plugin
                .pick(0, &path(n), &[], &[first])
                .expect("two are left") as u32;
            assert_ne!(second, first);
            assert_eq!(
                plugin.pick(9, &path(n), &[], &[first]),
                Some(second as usize)
            );
            let third = plugin
                .pick(0, &path(n), &[], &[first, second])
                .expect("one is left") as u32;
            assert_eq!(first + second + third, 3, "all were asked");
            assert_eq!(
                plugin.pick(0, &path(n), &[], &[0, 1, 2]),
                Some(first as usize)
            );
        }
    }
}

#[test]
fn a_bound_sends_the_excess_of_a_popular_key_elsewhere() {
    for method in ["consistent", "maglev"] {
        let config = format!(r#"{{"on": "path", "method": "{method}", "balance_factor": 125}}"#);
        let mut plugin = hash(&config, &[1, 1, 1]);
        let mut loads = [0; 3];
        for turn in 0..12 {
            let server = plugin
                .pick(turn, &path(1), &loads, &[])
                .expect("there are servers");
            loads[server] += 1;
        }
        // 125 % of the mean of 12 held exchanges over 3 servers is 5.
        assert_eq!(
            *loads.iter().max().expect("three"),
            5,
            "{method}: {loads:?}"
        );
    }
}

#[test]
fn a_bound_leaves_room_for_everybody_by_weight() {
    let mut plugin = hash(
        r#"{"on": "path", "method": "consistent", "balance_factor": 101}"#,
        &[1, 3],
    );
    let mut loads = [0; 2];
    for turn in 0..40 {
        let server = plugin
            .pick(turn, &path(1), &loads, &[])
            .expect("there are servers");
        loads[server] += 1;
    }
    // Three quarters of 101 % of 40.
    assert!(loads[1] <= 31, "{loads:?}");
    assert!(
        loads[1] >= 29,
        "the bound is not tighter than it says: {loads:?}"
    );
}

#[test]
fn without_servers_there_is_none_to_pick() {
    for method in ["modulo", "consistent", "maglev"] {
        let config = format!(r#"{{"on": "path", "method": "{method}"}}"#);
        assert_eq!(hash(&config, &[]).picks(1), "-");
    }
}

#[test]
fn a_bound_that_means_nothing_is_refused() {
    let refusal = |config| Loaded::<Hash>::new(config).unwrap_err().to_string();
    assert_eq!(
        refusal(r#"{"on": "uri", "method": "maglev", "balance_factor": 100}"#),
        "/balance_factor: 100 is not above 100, the mean; 125 or 150 are usual"
    );
    assert_eq!(
        refusal(r#"{"on": "uri", "balance_factor": 125}"#),
        "/balance_factor: the method `modulo` knows no bound; take `consistent` or `maglev`"
    );
}

#[test]
fn only_what_is_hashed_is_asked_for() {
    let inputs = |config| hash(config, &[1]).inputs().join(" ");
    assert_eq!(inputs(r#"{"on": "source"}"#), "client-address");
    assert_eq!(inputs(r#"{"on": "uri"}"#), "raw-path query");
    assert_eq!(inputs(r#"{"on": {"header": "X-Key"}}"#), "header(x-key)");
}

#[test]
fn a_beginning_of_the_path_can_decide() {
    let same = |config: &str, a: &str, b: &str| {
        let mut plugin = hash(config, &[1; 7]);
        pick(&mut plugin, &request().path(a)) == pick(&mut plugin, &request().path(b))
    };
    let depth = r#"{"on": "path", "depth": 1}"#;
    for other in ["/img/b", "/img/c/d", "/img", "/img/"] {
        assert!(same(depth, "/img/a", other), "{other}");
    }
    let length = r#"{"on": "uri", "length": 4}"#;
    for other in ["/imgs", "/img?x", "/img/x/y"] {
        assert!(same(length, "/img", other), "{other}");
    }
    let spread = |config: &str| {
        let mut plugin = hash(config, &[1; 7]);
        let picks = (0..40).map(|n| pick(&mut plugin, &request().path(&format!("/d{n}/x"))));
        picks.collect::<std::collections::BTreeSet<_>>().len()
    };
    assert_eq!(spread(length), 7, "`/d12` differs from `/d13`");
    assert_eq!(spread(r#"{"on": "path", "length": 2}"#), 1);
    assert_eq!(spread(depth), 7);
}

#[test]
fn an_extent_without_a_path_is_refused() {
    let refusal = |config| Loaded::<Hash>::new(config).unwrap_err().to_string();
    assert!(refusal(r#"{"on": "source", "depth": 1}"#).starts_with("/depth: "));
    assert!(refusal(r#"{"on": "path", "length": 0}"#).starts_with("/length: 0 leaves nothing"));
}
