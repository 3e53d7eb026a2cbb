//! The counters in Prometheus' text exposition format.

use std::fmt::Write;

use super::{
    compression::CompressionPlace,
    metrics::{
        BackendMetrics, CAUSES, Counted, FrontendMetrics, PluginPlace, STATUS_CLASSES,
        ServerMetrics, Snapshot,
    },
};

/// Appends every family that has something to show.
pub(super) fn write(snapshot: &Snapshot, out: &mut String) {
    write_frontends(snapshot, out);
    write_backends(snapshot, out);
    write_servers(snapshot, out);
    write_plugins(snapshot, out);
    write_compressions(snapshot, out);
    write_caches(snapshot, out);
}

/// Name after `weir_…_`, help, position.
type Family = (&'static str, &'static str, usize);

fn write_frontends(snapshot: &Snapshot, out: &mut String) {
    const FAMILIES: [Family; 13] = [
        (
            "refused",
            "Connections closed at once since their client had too many.",
            FrontendMetrics::REFUSED,
        ),
        (
            "connections",
            "Client connections.",
            FrontendMetrics::CONNECTIONS,
        ),
        ("requests", "Requests read.", FrontendMetrics::REQUESTS),
        (
            "denied",
            "Exchanges that a filter ended.",
            FrontendMetrics::DENIED,
        ),
        (
            "bad_requests",
            "What was no sound request.",
            FrontendMetrics::BAD_REQUESTS,
        ),
        (
            "http2_connections",
            "Clients that spoke HTTP/2.",
            FrontendMetrics::HTTP2_CONNECTIONS,
        ),
        (
            "http2_floods",
            "Connections of HTTP/2 ended since the client made work for nothing.",
            FrontendMetrics::HTTP2_FLOODS,
        ),
        (
            "http2_protocol_errors",
            "Connections of HTTP/2 ended since the client broke the protocol.",
            FrontendMetrics::HTTP2_PROTOCOL_ERRORS,
        ),
        (
            "tls_handshakes",
            "TLS handshakes done from scratch.",
            FrontendMetrics::HANDSHAKES,
        ),
        (
            "tls_resumptions",
            "TLS handshakes that took an earlier session up.",
            FrontendMetrics::RESUMED,
        ),
        (
            "tls_handshake_failures",
            "TLS handshakes that came to nothing.",
            FrontendMetrics::FAILED_HANDSHAKES,
        ),
        (
            "received_bytes",
            "Bytes from clients.",
            FrontendMetrics::BYTES_IN,
        ),
        (
            "sent_bytes",
            "Bytes to clients.",
            FrontendMetrics::BYTES_OUT,
        ),
    ];
    let rows = snapshot.frontends.iter();
    let rows = rows.map(|(name, metrics)| (labels(&[("frontend", name.as_str())]), &**metrics));
    write_level(
        out,
        "frontend",
        &FAMILIES,
        "Answers to clients.",
        &rows.collect::<Vec<_>>(),
    );
}

fn write_backends(snapshot: &Snapshot, out: &mut String) {
    const FAMILIES: [Family; 5] = [
        (
            "sessions",
            "Exchanges given to it.",
            BackendMetrics::SESSIONS,
        ),
        (
            "redispatches",
            "Retries at another server.",
            BackendMetrics::REDISPATCHES,
        ),
        (
            "queued",
            "Exchanges that had to wait.",
            BackendMetrics::QUEUED,
        ),
        (
            "queue_failures",
            "Exchanges that waited in vain.",
            BackendMetrics::QUEUE_FAILURES,
        ),
        (
            "no_server",
            "Exchanges without any usable server.",
            BackendMetrics::NO_SERVER,
        ),
    ];
    let rows = snapshot.backends.iter();
    let rows = rows.map(|(name, metrics)| (labels(&[("backend", name.as_str())]), &**metrics));
    write_level(
        out,
        "backend",
        &FAMILIES,
        "Answers of its servers.",
        &rows.collect::<Vec<_>>(),
    );
}

fn write_servers(snapshot: &Snapshot, out: &mut String) {
    const FAMILIES: [Family; 7] = [
        (
            "sessions",
            "Exchanges given to it.",
            ServerMetrics::SESSIONS,
        ),
        (
            "connect_failures",
            "Connections that could not be made.",
            ServerMetrics::CONNECT_FAILURES,
        ),
        ("retries", "Requests tried again.", ServerMetrics::RETRIES),
        (
            "response_errors",
            "Bad, late or missing answers.",
            ServerMetrics::RESPONSE_ERRORS,
        ),
        (
            "checks_passed",
            "Checks that succeeded.",
            ServerMetrics::CHECKS_PASSED,
        ),
        (
            "checks_failed",
            "Checks that failed.",
            ServerMetrics::CHECKS_FAILED,
        ),
        (
            "downs",
            "Times it was taken to be down.",
            ServerMetrics::DOWNS,
        ),
    ];
    let rows = snapshot.servers.iter().map(|((backend, server), metrics)| {
        let names = [("backend", backend.as_str()), ("server", server.as_str())];
        (labels(&names), &**metrics)
    });
    write_level(
        out,
        "server",
        &FAMILIES,
        "Its answers.",
        &rows.collect::<Vec<_>>(),
    );
}

/// Writes a level's families, and its answers by class of status.
fn write_level<M: Counted>(
    out: &mut String,
    level: &str,
    families: &[Family],
    answers_help: &str,
    rows: &[(String, &M)],
) {
    for (name, help, counter) in families {
        let samples = rows
            .iter()
            .map(|(labels, metrics)| (labels.clone(), metrics.count(*counter)));
        family(out, level, name, help, samples);
    }
    let answers = rows.iter().flat_map(|(labels, metrics)| {
        STATUS_CLASSES
            .iter()
            .enumerate()
            .map(move |(index, class)| {
                (
                    format!("{labels},class=\"{class}\""),
                    metrics.count_class(index),
                )
            })
    });
    family(out, level, "responses", answers_help, answers);
}

fn write_plugins(snapshot: &Snapshot, out: &mut String) {
    let rows: Vec<(String, _)> = snapshot
        .plugins
        .iter()
        .map(|((place, plugin), metrics)| (plugin_labels(place, plugin.as_str()), metrics))
        .collect();
    let calls = rows
        .iter()
        .map(|(labels, metrics)| (labels.clone(), metrics.calls()));
    family(out, "plugin", "calls", "Calls that were answered.", calls);
    let failures = rows.iter().flat_map(|(labels, metrics)| {
        CAUSES.iter().enumerate().map(move |(index, cause)| {
            (
                format!("{labels},cause=\"{cause}\""),
                metrics.failures(index),
            )
        })
    });
    family(
        out,
        "plugin",
        "failures",
        "Calls that failed, by cause.",
        failures,
    );
    let recalled = rows
        .iter()
        .map(|(labels, metrics)| (labels.clone(), metrics.recalls()));
    let help = "Calls not made because the answer was known.";
    family(out, "plugin", "recalled", help, recalled);
    let skipped = rows
        .iter()
        .map(|(labels, metrics)| (labels.clone(), metrics.skipped()));
    let help = "Calls not made because it failed too often.";
    family(out, "plugin", "quarantined", help, skipped);
}

fn write_compressions(snapshot: &Snapshot, out: &mut String) {
    let rows = snapshot.compressions.iter().map(|(place, metrics)| {
        let place = match place {
            CompressionPlace::Frontend(name) => labels(&[("frontend", name.as_str())]),
            CompressionPlace::Backend(name) => labels(&[("backend", name.as_str())]),
        };
        (place, metrics.families())
    });
    write_own_families(out, "compression", &rows.collect::<Vec<_>>());
}

fn write_caches(snapshot: &Snapshot, out: &mut String) {
    let rows = snapshot.caches.iter();
    let rows = rows.map(|(name, metrics)| (labels(&[("cache", name)]), metrics.families()));
    write_own_families(out, "cache", &rows.collect::<Vec<_>>());
}

/// A name, help and value.
type OwnFamily = (&'static str, &'static str, u64);

/// Writes counters that come with their names: labels, and for each its name, help and value.
fn write_own_families<const N: usize>(
    out: &mut String,
    level: &str,
    rows: &[(String, [OwnFamily; N])],
) {
    let Some((_, families)) = rows.first() else {
        return;
    };
    for (position, (name, help, _)) in families.iter().enumerate() {
        let samples = rows
            .iter()
            .map(|(labels, counts)| (labels.clone(), counts[position].2));
        family(out, level, name, help, samples);
    }
}

/// The labels of a use of a plugin.
pub fn plugin_labels(place: &PluginPlace, plugin: &str) -> String {
    match place {
        PluginPlace::Filter { frontend, position } => labels(&[
            ("plugin", plugin),
            ("role", "filter"),
            ("frontend", frontend.as_str()),
            ("position", &position.to_string()),
        ]),
        PluginPlace::BackendFilter { backend, position } => labels(&[
            ("plugin", plugin),
            ("role", "filter"),
            ("backend", backend.as_str()),
            ("position", &position.to_string()),
        ]),
        PluginPlace::Balancer(backend) => labels(&[
            ("plugin", plugin),
            ("role", "balancer"),
            ("backend", backend.as_str()),
        ]),
        PluginPlace::Persistence(backend) => labels(&[
            ("plugin", plugin),
            ("role", "persistence"),
            ("backend", backend.as_str()),
        ]),
    }
}

fn labels(pairs: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (key, value) in pairs {
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(key);
        out.push_str("=\"");
        for c in value.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                c => out.push(c),
            }
        }
        out.push('"');
    }
    out
}

fn family(
    out: &mut String,
    level: &str,
    name: &str,
    help: &str,
    samples: impl Iterator<Item = (String, u64)>,
) {
    let mut samples = samples.peekable();
    if samples.peek().is_none() {
        return;
    }
    let name = format!("weir_{level}_{name}_total");
    let mut write = || {
        writeln!(out, "# HELP {name} {help}\n# TYPE {name} counter")?;
        samples.try_for_each(|(labels, value)| writeln!(out, "{name}{{{labels}}} {value}"))
    };
    // Writing to a string cannot fail.
    write().unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use crate::{
        model::{BackendName, FrontendName, PluginName, ServerName},
        telemetry::{Metrics, PluginPlace},
    };

    #[test]
    fn counters_are_shown_under_their_names() {
        let metrics = Metrics::default();
        let frontend = metrics.frontend(&FrontendName::new("web"));
        frontend.requested();
        frontend.answered(404);
        let backend = BackendName::new("api");
        let server = metrics.server(&backend, &ServerName::new("a"));
        server.connect_failed();
        let plugin = metrics.plugin(
            PluginPlace::Balancer(backend.clone()),
            &PluginName::new("./my \"own\".wasm"),
        );
        plugin.failed("trap");

        let mut text = String::new();
        metrics.write_prometheus(&mut text);
        for line in [
            "# TYPE weir_frontend_requests_total counter",
            "weir_frontend_requests_total{frontend=\"web\"} 1",
            "weir_frontend_responses_total{frontend=\"web\",class=\"4xx\"} 1",
            "weir_server_connect_failures_total{backend=\"api\",server=\"a\"} 1",
            "weir_plugin_failures_total{plugin=\"./my \\\"own\\\".wasm\",role=\"balancer\",\
             backend=\"api\",cause=\"trap\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        assert!(!text.contains("weir_backend_"), "none was registered");
        assert!(text.ends_with('\n'));
    }
}
