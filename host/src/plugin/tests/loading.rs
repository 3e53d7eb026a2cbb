//! What can't be loaded, and what the operator reads then.

use std::fs;

use weir_wat_guests::{Guest, Kind};

use super::*;
use crate::model::{Hook, Input};
use crate::plugin::{Asks, Call, CallFault, Import, Inspection};

/// A component without anything of its own, but with these exports and imports.
fn shell(exports: &[&str], imports: &str) -> Vec<u8> {
    let exports: String = exports
        .iter()
        .map(|name| format!("(export \"{name}\" (instance $empty))"))
        .collect();
    let text = format!("(component {imports} (instance $empty) {exports})");
    wat::parse_str(text).unwrap()
}

fn refused_bytes(bytes: Vec<u8>) -> String {
    used_bytes(bytes, Place::Filter).refused().to_string()
}

#[test]
fn what_is_no_component_is_called_what_it_is() {
    let core = wat::parse_str("(module)").unwrap();
    let elf = b"\x7fELF\x02\x01\x01".to_vec();
    for (bytes, found) in [
        (Vec::new(), "an empty file"),
        (b"hello".to_vec(), "something else"),
        (b"  (component)".to_vec(), "WebAssembly text"),
        (core, "a core module; make a component of it"),
        (elf, "machine code; Weir compiles plugins itself"),
        (
            b"\0asm\x02\0\0\0".to_vec(),
            "WebAssembly of another version",
        ),
    ] {
        let error = refused_bytes(bytes);
        assert!(error.contains(found), "{error}");
    }
}

#[test]
fn a_damaged_file_is_refused_with_where_it_is_damaged() {
    let whole = Guest::new(Kind::RequestFilter).build();
    let truncated = whole[..whole.len() / 2].to_vec();
    let error = refused_bytes(truncated);
    assert!(error.starts_with("not a valid component"), "{error}");
    assert!(error.contains("offset"), "{error}");

    for position in (8..whole.len()).step_by(97) {
        let mut flipped = whole.clone();
        flipped[position] ^= 0x55;
        // Some bytes are only a name; whatever happens, it is an answer and not a crash.
        let _ = used_bytes(flipped, Place::Filter).load();
    }
}

#[test]
fn engine_features_that_no_plugin_needs_are_off() {
    for module in [
        "(module (memory i64 1))",
        "(module (memory 1) (memory 1))",
        "(module (memory 1 1 shared))",
        "(module (memory 1 (pagesize 1)))",
        "(module (func (result v128) (f32x4.relaxed_madd
            (v128.const i64x2 0 0) (v128.const i64x2 0 0) (v128.const i64x2 0 0))))",
        "(module (tag))",
        "(module (type (struct)))",
    ] {
        let bytes = wat::parse_str(format!("(component (core {}", &module[1..]) + ")").unwrap();
        let error = refused_bytes(bytes);
        assert!(
            error.starts_with("not a valid component"),
            "{module}: {error}"
        );
    }
}

#[test]
fn a_component_that_is_no_plugin_is_refused() {
    let error = refused_bytes(shell(&[], ""));
    assert_eq!(
        error,
        "not a plugin: it doesn't export `weir:plugin/lifecycle` nor anything else"
    );
    let error = refused_bytes(shell(&["wasi:http/incoming-handler@0.2.0"], ""));
    assert!(
        error.contains("`wasi:http/incoming-handler@0.2.0`"),
        "{error}"
    );
    let error = refused_bytes(shell(&["weir:plugin/request-filter@0.1.0"], ""));
    assert!(error.starts_with("not a plugin"), "{error}");
}

#[test]
fn a_plugin_of_another_version_is_refused_with_both_versions() {
    for (version, help) in [("0.2.0", "or update Weir"), ("1.0.0", "or update Weir")] {
        let guest = Guest::new(Kind::RequestFilter).version(version);
        let error = used(&guest, Place::Filter).refused().to_string();
        assert!(error.contains(&format!("weir:plugin@{version}")), "{error}");
        assert!(error.contains("weir:plugin@0.1.0"), "{error}");
        assert!(error.contains(help), "{error}");
    }
    let guest = Guest::new(Kind::RequestFilter).version("0.0.3");
    let error = used(&guest, Place::Filter).refused().to_string();
    assert!(
        error.contains("weir:plugin@0.0.3") && !error.contains("update Weir"),
        "{error}"
    );
}

#[test]
fn a_later_version_that_only_adds_works() {
    let guest = Guest::new(Kind::RequestFilter).version("0.1.9");
    used(&guest, Place::Filter)
        .instance()
        .on_request(&[])
        .unwrap();
}

#[test]
fn a_later_version_that_uses_what_was_added_is_refused_with_both_versions() {
    let exports = [
        "weir:plugin/lifecycle@0.1.9",
        "weir:plugin/request-filter@0.1.9",
    ];
    let import = "(import \"weir:plugin/log@0.1.9\" (instance (export \"flush\" (func))))";
    let error = refused_bytes(shell(&exports, import));
    assert!(
        error.contains("weir:plugin@0.1.9") && error.contains("weir:plugin@0.1.0"),
        "{error}"
    );
}

#[test]
fn a_plugin_in_the_wrong_place_is_refused() {
    for (kind, place, needed) in [
        (
            Kind::Balancer,
            Place::Filter,
            "`request-filter` or `response-filter` is needed",
        ),
        (Kind::Filter, Place::Balancer, "`balancer` is needed"),
        (
            Kind::Balancer,
            Place::Persistence,
            "`persistence` is needed",
        ),
    ] {
        let error = used(&Guest::new(kind), place).refused().to_string();
        assert!(error.contains(needed), "{error}");
    }
}

#[test]
fn an_interface_with_other_functions_or_types_is_refused() {
    let exports = [
        "weir:plugin/lifecycle@0.1.0",
        "weir:plugin/request-filter@0.1.0",
    ];
    let error = refused_bytes(shell(&exports, ""));
    assert_eq!(
        error,
        "its `lifecycle` isn't that of weir:plugin@0.1.0: no function `describe`"
    );

    let text = "(component
        (core module $m (func (export \"f\")))
        (core instance $m (instantiate $m))
        (func $f (canon lift (core func $m \"f\")))
        (instance $lifecycle (export \"describe\" (func $f)) (export \"configure\" (func $f)))
        (instance $filter (export \"on-request\" (func $f)))
        (export \"weir:plugin/lifecycle@0.1.0\" (instance $lifecycle))
        (export \"weir:plugin/request-filter@0.1.0\" (instance $filter)))";
    let error = refused_bytes(wat::parse_str(text).unwrap());
    assert!(
        error.starts_with("its `lifecycle` isn't that of"),
        "{error}"
    );
}

#[test]
fn an_import_that_weir_does_not_have_is_named() {
    let exports = [
        "weir:plugin/lifecycle@0.1.0",
        "weir:plugin/request-filter@0.1.0",
    ];
    let import = "(import \"wasi:keyvalue/store@0.2.0\" (instance (export \"connect\" (func))))";
    let error = refused_bytes(shell(&exports, import));
    assert!(error.contains("`wasi:keyvalue/store@0.2.0`"), "{error}");
    assert!(
        error.contains("`log`, `clock`, `random`, `maps`"),
        "{error}"
    );
}

#[test]
fn a_config_that_breaks_the_schema_is_refused_before_the_plugin_sees_it() {
    let guest = Guest::new(Kind::RequestFilter)
        .schema(r#"{"properties": {"draws": {"type": "integer"}}, "required": ["on"]}"#)
        .with("configure", "unreachable");
    let mut used = used(&guest, Place::Filter);
    used.config = r#"{"draws": "two"}"#;
    let LoadFault::Config { violations } = used.refused() else {
        panic!("not refused by the schema");
    };
    let mut pointers: Vec<&str> = violations.iter().map(|v| v.pointer.as_str()).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["", "/draws"]);
}

#[test]
fn a_schema_that_is_none_is_refused() {
    let guest = Guest::new(Kind::RequestFilter).schema("{\"type\": 1}");
    let fault = used(&guest, Place::Filter).refused();
    assert!(matches!(fault, LoadFault::BadSchema { .. }), "{fault}");
}

#[test]
fn a_plugin_that_refuses_its_config_is_quoted() {
    let refusing = |message: &str| {
        let mut guest = Guest::new(Kind::RequestFilter);
        let text = guest.text(message);
        let error = guest.words(&[1, text.0, text.1]);
        let guest = guest.with("configure", &format!("(i32.const {error})"));
        let mut used = used(&guest, Place::Filter);
        used.config = r#"{"rule": [{"when": "x"}]}"#;
        used.refused()
    };
    assert_eq!(
        refusing("no users given").to_string(),
        "it refused its config: no users given"
    );
    let fault = refusing("/rule/0/when: no matcher named `x`");
    let LoadFault::Config { violations } = fault else {
        panic!("not pointed: {fault}");
    };
    assert_eq!(violations[0].pointer, "/rule/0/when");
}

#[test]
fn what_a_plugin_asks_for_and_cannot_have_is_named() {
    let request = || Guest::new(Kind::RequestFilter);
    for (guest, text) in [
        (request().inputs("on-request", &["mood"]), "`mood`"),
        (request().inputs("pick", &["path"]), "hook `pick`"),
        (
            request().inputs("on-request", &["status"]),
            "there is no response yet",
        ),
        (
            request().backends(&["statik"]),
            "`statik`, which doesn't exist",
        ),
        (request().features(&["telepathy"]), "`telepathy`"),
    ] {
        let error = used(&guest, Place::Filter).refused().to_string();
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn a_plugin_that_fails_at_once_gets_no_traffic() {
    for (kind, place, function, call) in [
        (
            Kind::RequestFilter,
            Place::Filter,
            "on-request",
            Call::OnRequest,
        ),
        (
            Kind::ResponseFilter,
            Place::Filter,
            "on-response",
            Call::OnResponse,
        ),
        (Kind::Balancer, Place::Balancer, "update", Call::Update),
        (Kind::Balancer, Place::Balancer, "pick", Call::Pick),
        (
            Kind::FeedbackBalancer,
            Place::Balancer,
            "observe",
            Call::Observe,
        ),
        (
            Kind::Persistence,
            Place::Persistence,
            "lookup",
            Call::Lookup,
        ),
        (
            Kind::Persistence,
            Place::Persistence,
            "assigned",
            Call::Assigned,
        ),
        (Kind::Balancer, Place::Balancer, "describe", Call::Describe),
        (
            Kind::Balancer,
            Place::Balancer,
            "configure",
            Call::Configure,
        ),
        (Kind::Balancer, Place::Balancer, "start", Call::Instantiate),
    ] {
        let guest = Guest::new(kind).with(function, "unreachable");
        match used(&guest, place).refused() {
            LoadFault::Call { call: found, fault } => {
                assert_eq!(found, call);
                assert!(
                    matches!(fault, CallFault::Trap { .. }),
                    "{function}: {fault}"
                );
            }
            other => panic!("{function}: {other}"),
        }
    }
}

#[test]
fn a_limit_that_no_instance_can_have_is_refused() {
    let mut used = used(&Guest::new(Kind::RequestFilter), Place::Filter);
    used.memory = usize::MAX;
    assert!(matches!(used.refused(), LoadFault::TooMuchMemory { .. }));
}

#[test]
fn a_file_is_missing_too_large_or_loaded() {
    let runtime = Runtime::new(RuntimeOptions {
        max_instances: 4,
        max_file: 100_000,
        setup_deadline: PATIENT,
        ..RuntimeOptions::default()
    })
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guest.wasm");
    let load = |source: PluginSource| {
        let spec = PluginSpec {
            name: PluginName::new("./guest.wasm"),
            source,
            place: Place::Filter,
            config: "{}",
            grants: &Grants::default(),
            maps: &MapStore::default(),
            counters: &CounterStore::default(),
            deadline: PATIENT,
            memory: MEMORY,
            backends: &[],
        };
        Plugin::load(&runtime, &spec).map_err(|error| error.to_string())
    };

    let error = load(PluginSource::File("/dev/zero".into())).unwrap_err();
    assert_eq!(error, "plugin `./guest.wasm`: /dev/zero can't be read");
    let error = load(PluginSource::File(file.clone())).unwrap_err();
    assert!(
        error.starts_with("plugin `./guest.wasm`: no file /"),
        "{error}"
    );
    let error = load(PluginSource::File(folder.path().to_owned())).unwrap_err();
    assert!(error.contains("can't be read"), "{error}");
    let error = load(PluginSource::Bundled("nonsense".to_owned())).unwrap_err();
    assert!(
        error.contains("no plugin named `nonsense` comes with Weir"),
        "{error}"
    );

    fs::write(&file, vec![0; 100_001]).unwrap();
    let error = load(PluginSource::File(file.clone())).unwrap_err();
    assert!(error.contains("larger than the 100000 bytes"), "{error}");

    fs::write(&file, Guest::new(Kind::RequestFilter).build()).unwrap();
    load(PluginSource::File(file)).unwrap();
}

#[test]
fn the_same_bytes_are_compiled_once_while_they_are_in_use() {
    let bytes = Guest::new(Kind::Persistence).build();
    let name = PluginName::new("guest");
    let first = RUNTIME.compile(&bytes, &name).unwrap();
    let second = RUNTIME.compile(&bytes, &name).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    assert!(first.digest().to_string().starts_with("sha256:"));
}

#[test]
fn compiled_code_is_kept_in_the_cache_folder() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("code");
    let runtime = Runtime::new(RuntimeOptions {
        code_cache: Some(cache.clone()),
        max_instances: 4,
        setup_deadline: PATIENT,
        ..RuntimeOptions::default()
    })
    .unwrap();
    used(&Guest::new(Kind::RequestFilter), Place::Filter)
        .load_in(&runtime)
        .unwrap();
    assert!(fs::read_dir(cache).unwrap().count() > 0);
}

#[test]
fn there_are_only_so_many_instances() {
    let runtime = Runtime::new(RuntimeOptions {
        max_instances: 2,
        setup_deadline: PATIENT,
        ..RuntimeOptions::default()
    })
    .unwrap();
    let plugin = used(&Guest::new(Kind::RequestFilter), Place::Filter)
        .load_in(&runtime)
        .unwrap();
    let first = plugin.instantiate().unwrap();
    let _second = plugin.instantiate().unwrap();
    let error = plugin.instantiate().map(|_| ()).unwrap_err();
    assert_eq!(error.fault, CallFault::NoRoom { limit: 2 });
    drop(first);
    plugin.instantiate().unwrap();
}

#[test]
fn an_inspection_shows_what_an_operator_has_to_know() {
    let guest = Guest::new(Kind::Filter)
        .schema("{}")
        .import("clock", "now", "(result i64)")
        .import("maps", "lookup", "(param i32 i32 i32 i32 i32)")
        .inputs("on-request", &["path", "cookie(SID)"])
        .backends(&["anywhere"]);
    let inspection = Inspection::of(&RUNTIME, &guest.build(), "{}").unwrap();
    assert_eq!(inspection.imports, [Import::Clock, Import::Maps]);
    assert_eq!(
        inspection.asks.as_ref().unwrap(),
        &Asks {
            inputs: vec![(
                Hook::OnRequest,
                vec![Input::Path, Input::Cookie("SID".to_owned())]
            )],
            backends: vec!["anywhere".to_owned()],
            features: Vec::new(),
        }
    );
    let text = inspection.to_string();
    for line in [
        "name      guest ",
        "contract  weir:plugin@0.1.0\n",
        "roles     request-filter, response-filter\n",
        "imports   clock     grant = [\"clock\"]\n",
        "inputs    on-request: path, cookie(SID)\n",
        "backends  anywhere\n",
        "digest    sha256:",
        "schema    {}\n",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[test]
fn a_plugin_that_does_not_take_the_config_is_inspected_all_the_same() {
    let guest = Guest::new(Kind::Balancer).schema("{\"required\": [\"on\"]}");
    let inspection = Inspection::of(&RUNTIME, &guest.build(), "{}").unwrap();
    assert!(inspection.info.is_some());
    let text = inspection.to_string();
    assert!(
        text.contains("asks      unknown: its config isn't right"),
        "{text}"
    );
}
