//! Reading `tls` of a listener, a backend or a server.

use std::time::Duration;

use super::{
    Alpn, CertificateFiles, Cipher, ClientCertificates, ListenerTls, NamedFile, ServerCertificates,
    ServerTls, Spot, TlsVersion, TlsVersions, Trust, UnknownName,
};
use crate::config::{
    acme::read_acme_names,
    address::resolve,
    plugin_use::Surroundings,
    read::Fields,
    suggest::nearest,
    value::{Node, shorten},
};

/// As generous as is sound: a client across the world on a bad line needs a few seconds.
const HANDSHAKE: Duration = Duration::from_secs(10);

const ALPN: &[(&str, Alpn)] = &[("http/1.1", Alpn::Http11)];

/// Reads `tls` of a listener.
pub(in crate::config) fn read_listener_tls(
    node: &Node<'_>,
    around: &Surroundings<'_>,
) -> Option<ListenerTls> {
    if !node.value().is_table() {
        node.wrong_type("a table", "write `tls = { certificate = \"site.pem\" }`");
        return None;
    }
    let mut fields = node.fields("[frontend.bind.tls]")?;
    let acme = fields.get("acme");
    let acme = acme.map(|node| read_acme_names(&node, around.issuer));
    // One of the two has to be there.
    let certificates = match acme {
        None => fields.require("certificate", "\"site.pem\""),
        Some(_) => fields.get("certificate"),
    };
    let certificates = certificates.map(|node| read_certificates(&node, around));
    let strict = fields.get("strict_sni").and_then(|node| node.boolean());
    let (versions, ciphers) = read_strength(&mut fields, all_versions(), None);
    let clients = read_clients(&mut fields, around);
    let resumption = fields.get("resumption").and_then(|node| node.boolean());
    let handshake = fields
        .get("handshake_timeout")
        .and_then(|node| node.duration());
    fields.finish(&[
        ("key", "write `certificate = { file = \"…\", key = \"…\" }`"),
        ("crt", "write `certificate`"),
        ("alpn", "write `protocols` beside `tls`"),
        ("ca_file", "write `ca`"),
        ("crl_file", "write `crl`"),
        ("sni", "which names there are is in the certificates"),
    ]);
    let certificates = certificates.unwrap_or_default();
    let acme = acme.flatten();
    if certificates.is_empty() && acme.is_none() {
        return None;
    }
    Some(ListenerTls {
        certificates,
        acme,
        unknown_name: match strict {
            Some(true) => UnknownName::Refused,
            Some(false) | None => UnknownName::DefaultCertificate,
        },
        versions,
        ciphers,
        clients: clients?,
        resumption: resumption.unwrap_or(true),
        handshake_timeout: handshake.unwrap_or(HANDSHAKE),
        spot: spot(node, around),
    })
}

/// Reads `tls` of a backend or a server: `true`, `false`, or a table of what is different from `base`. `None` if
/// TLS is not spoken.
pub(in crate::config) fn read_server_tls(
    node: &Node<'_>,
    base: Option<&ServerTls>,
    around: &Surroundings<'_>,
) -> Option<ServerTls> {
    let base = base.cloned().unwrap_or_else(|| ServerTls {
        verify: ServerCertificates::System { crl: Vec::new() },
        sni: None,
        certificate: None,
        alpn: Vec::new(),
        versions: all_versions(),
        ciphers: None,
        spot: spot(node, around),
    });
    if let Some(wanted) = node.value().as_bool() {
        return wanted.then_some(base);
    }
    if !node.value().is_table() {
        node.wrong_type(
            "`true`, `false` or a table",
            "write `tls = true` or `tls = { ca = \"ca.pem\" }`",
        );
        return None;
    }
    let mut fields = node.fields("tls")?;
    let verify = read_server_verify(&mut fields, around);
    let sni = fields.get("sni").map(|node| read_name(&node));
    let certificate = fields
        .get("certificate")
        .map(|node| read_certificate(&node, around));
    let alpn = fields.get("alpn").map(|node| read_alpn(&node));
    let (versions, ciphers) = read_strength(&mut fields, base.versions, base.ciphers.as_deref());
    fields.finish(&[
        ("key", "write `certificate = { file = \"…\", key = \"…\" }`"),
        ("ca_file", "write `ca`"),
        ("verify_host", "write `sni`"),
    ]);
    Some(ServerTls {
        verify: verify.unwrap_or(base.verify),
        sni: sni.flatten().or(base.sni),
        certificate: certificate.flatten().or(base.certificate),
        alpn: alpn.unwrap_or(base.alpn),
        versions,
        ciphers,
        spot: spot(node, around),
    })
}

/// `None` if nothing is said about it.
fn read_server_verify(
    fields: &mut Fields<'_>,
    around: &Surroundings<'_>,
) -> Option<ServerCertificates> {
    let verify = fields.get("verify");
    let ca = fields.get("ca");
    let crl = fields.get("crl");
    let unchecked = verify.as_ref().is_some_and(|node| {
        let choices = [("required", false), ("none", true)];
        node.choice(&choices) == Some(true)
    });
    if unchecked {
        for node in [&ca, &crl].into_iter().flatten() {
            node.wrong(
                "has no use beside `verify = \"none\"`",
                "keep one of the two",
            );
        }
        return Some(ServerCertificates::Unchecked);
    }
    let said = verify.is_some() || ca.is_some() || crl.is_some();
    let crl = crl
        .map(|node| read_files(&node, around))
        .unwrap_or_default();
    let read = match ca {
        None => ServerCertificates::System { crl },
        Some(ca) => ServerCertificates::Issued(Trust {
            ca: read_files(&ca, around),
            crl,
        }),
    };
    said.then_some(read)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verify {
    None,
    Optional,
    Required,
}

fn read_clients(fields: &mut Fields<'_>, around: &Surroundings<'_>) -> Option<ClientCertificates> {
    let verify = fields.get("verify");
    let ca = fields.get("ca");
    let crl = fields.get("crl");
    let wanted = match &verify {
        None => Verify::None,
        Some(node) => node.choice(&[
            ("none", Verify::None),
            ("optional", Verify::Optional),
            ("required", Verify::Required),
        ])?,
    };
    if wanted == Verify::None {
        for node in [&ca, &crl].into_iter().flatten() {
            node.wrong(
                "has no use while clients are not asked for certificates",
                "add `verify = \"required\"` or `\"optional\"`",
            );
        }
        return Some(ClientCertificates::NotAsked);
    }
    let Some(ca) = ca else {
        if let Some(node) = verify {
            node.wrong(
                "needs to know whose certificates are good",
                "add `ca = \"clients-ca.pem\"`",
            );
        }
        return None;
    };
    let trust = Trust {
        ca: read_files(&ca, around),
        crl: crl
            .map(|node| read_files(&node, around))
            .unwrap_or_default(),
    };
    Some(match wanted {
        Verify::Required => ClientCertificates::Required(trust),
        Verify::Optional | Verify::None => ClientCertificates::Optional(trust),
    })
}

/// One certificate, or a list of them.
fn read_certificates(node: &Node<'_>, around: &Surroundings<'_>) -> Vec<CertificateFiles> {
    if !node.value().is_array() {
        return read_certificate(node, around).into_iter().collect();
    }
    let entries = node.list("certificates").unwrap_or_default();
    if entries.is_empty() {
        node.wrong("is empty", "name at least one file or folder");
    }
    entries
        .iter()
        .filter_map(|entry| read_certificate(entry, around))
        .collect()
}

fn read_certificate(node: &Node<'_>, around: &Surroundings<'_>) -> Option<CertificateFiles> {
    if node.value().is_str() {
        return Some(CertificateFiles {
            certificate: read_file(node, "site.pem", around)?,
            key: None,
            ocsp: None,
        });
    }
    if !node.value().is_table() {
        node.wrong_type(
            "a path or a table",
            "write \"site.pem\" or { file = \"site.crt\", key = \"site.key\" }",
        );
        return None;
    }
    let mut fields = node.fields("certificate")?;
    let certificate = fields
        .require("file", "\"site.pem\"")
        .and_then(|node| read_file(&node, "site.pem", around));
    let key = fields.get("key");
    let key = key.map(|node| read_file(&node, "site.key", around));
    let ocsp = fields.get("ocsp");
    let ocsp = ocsp.map(|node| read_file(&node, "site.ocsp", around));
    fields.finish(&[]);
    Some(CertificateFiles {
        certificate: certificate?,
        key: match key {
            Some(key) => Some(key?),
            None => None,
        },
        ocsp: match ocsp {
            Some(ocsp) => Some(ocsp?),
            None => None,
        },
    })
}

/// One file, or a list of them.
fn read_files(node: &Node<'_>, around: &Surroundings<'_>) -> Vec<NamedFile> {
    const EXAMPLE: &str = "ca.pem";
    if !node.value().is_array() {
        return read_file(node, EXAMPLE, around).into_iter().collect();
    }
    let entries = node.list("paths").unwrap_or_default();
    if entries.is_empty() {
        node.wrong("is empty", "name at least one file, or leave it out");
    }
    entries
        .iter()
        .filter_map(|entry| read_file(entry, EXAMPLE, around))
        .collect()
}

fn read_file(node: &Node<'_>, example: &str, around: &Surroundings<'_>) -> Option<NamedFile> {
    let text = node.plain_text(example)?;
    Some(NamedFile {
        path: resolve(text, node.reader.base),
        spot: spot(node, around),
    })
}

/// A name that a server can be asked for.
fn read_name(node: &Node<'_>) -> Option<String> {
    let text = node.plain_text("app.internal")?;
    let sound = text.len() <= 253
        && text.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        });
    if !sound {
        node.wrong(
            format!("is no host name: `{}`", shorten(text)),
            "write a name such as \"app.internal\"",
        );
        return None;
    }
    Some(text.to_ascii_lowercase())
}

fn read_alpn(node: &Node<'_>) -> Vec<Alpn> {
    let entries = node.list("protocols").unwrap_or_default();
    let mut offered = Vec::new();
    for entry in entries {
        if let Some(protocol) = entry.choice(ALPN)
            && !offered.contains(&protocol)
        {
            offered.push(protocol);
        }
    }
    offered
}

fn all_versions() -> TlsVersions {
    TlsVersions {
        min: TlsVersion::V1_2,
        max: TlsVersion::V1_3,
    }
}

/// Versions and ciphers, and whether they go together.
fn read_strength(
    fields: &mut Fields<'_>,
    base: TlsVersions,
    base_ciphers: Option<&[Cipher]>,
) -> (TlsVersions, Option<Vec<Cipher>>) {
    let min = fields.get("min_version");
    let max = fields.get("max_version");
    let ciphers = fields.get("ciphers");
    let versions = TlsVersions {
        min: min.as_ref().and_then(read_version).unwrap_or(base.min),
        max: max.as_ref().and_then(read_version).unwrap_or(base.max),
    };
    if versions.min > versions.max {
        let (node, what) = match (&min, &max) {
            (Some(min), _) => (min, "is above `max_version`"),
            (None, Some(max)) => (max, "is below `min_version`"),
            (None, None) => return (base, None),
        };
        node.wrong(what, "swap `min_version` and `max_version`");
        return (base, None);
    }
    let Some(node) = ciphers else {
        return (versions, base_ciphers.map(<[_]>::to_vec));
    };
    let read = read_ciphers(&node);
    for version in TlsVersion::ALL {
        let some = read.iter().any(|cipher| cipher.version() == version);
        if versions.contains(version) && !some && !read.is_empty() {
            node.wrong(
                format!("has none for {}, which is offered", version.as_str()),
                match version {
                    TlsVersion::V1_3 => {
                        "add \"TLS_AES_128_GCM_SHA256\", or `max_version = \"TLSv1.2\"`"
                    }
                    TlsVersion::V1_2 => {
                        "add \"ECDHE-ECDSA-AES128-GCM-SHA256\" and \"ECDHE-RSA-AES128-GCM-SHA256\", or \
                         `min_version = \"TLSv1.3\"`"
                    }
                },
            );
        }
    }
    (versions, (!read.is_empty()).then_some(read))
}

fn read_version(node: &Node<'_>) -> Option<TlsVersion> {
    if let Some(text) = node.value().as_str()
        && ["SSLv3", "TLSv1", "TLSv1.0", "TLSv1.1"].contains(&text)
    {
        node.wrong(
            format!("cannot be `{text}`: it is broken and not offered"),
            "one of `TLSv1.2` or `TLSv1.3`",
        );
        return None;
    }
    node.choice(&TlsVersion::ALL.map(|version| (version.as_str(), version)))
}

fn read_ciphers(node: &Node<'_>) -> Vec<Cipher> {
    let Some(entries) = node.list("cipher suites") else {
        return Vec::new();
    };
    if entries.is_empty() {
        node.wrong("is empty", "leave it out for all that there are");
    }
    let mut ciphers = Vec::new();
    for entry in entries {
        let Some(name) = entry.plain_text("TLS_AES_128_GCM_SHA256") else {
            continue;
        };
        let Some(cipher) = Cipher::named(name) else {
            let names = Cipher::ALL.map(Cipher::as_str);
            let hint = match nearest(name, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", names.join(", ")),
            };
            entry.wrong(format!("is no suite on offer: `{}`", shorten(name)), hint);
            continue;
        };
        if !ciphers.contains(&cipher) {
            ciphers.push(cipher);
        }
    }
    ciphers
}

fn spot(node: &Node<'_>, around: &Surroundings<'_>) -> Spot {
    Spot::new(around.file, &around.source, node.span())
}
