//! `[acme]`: an authority that issues certificates by itself (RFC 8555), and where they are kept.

use std::path::PathBuf;

use super::{
    address::resolve,
    read::Fields,
    value::{Node, shorten},
};

/// Who issues certificates to this proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acme {
    /// Where the authority's directory is.
    pub directory: String,
    /// Mail addresses that the authority may write to.
    pub contact: Vec<String>,
    /// The folder for the account's key and for certificates with their keys.
    pub storage: PathBuf,
    /// Whose certificate the directory's own server must have; `None`: as the system believes.
    pub ca: Option<PathBuf>,
}

/// The names of one certificate that is to be obtained, and where it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AcmeNames {
    /// At least one, in lower case.
    pub names: Vec<String>,
    pub file: PathBuf,
}

const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// What Let's Encrypt puts into one certificate.
const MOST_NAMES: usize = 100;

/// `[acme]` as the listeners find it.
pub(super) enum Issuer {
    Nobody,
    /// What is said is wrong, which was told.
    Unclear,
    Known(Acme),
}

/// Reads `[acme]`.
pub(super) fn read_issuer(top: &mut Fields<'_>) -> Issuer {
    let said = top.key_span("acme").is_some();
    match read_acme(top) {
        Some(acme) => Issuer::Known(acme),
        None if said => Issuer::Unclear,
        None => Issuer::Nobody,
    }
}

impl Issuer {
    pub fn into_acme(self) -> Option<Acme> {
        match self {
            Self::Known(acme) => Some(acme),
            Self::Nobody | Self::Unclear => None,
        }
    }
}

fn read_acme(top: &mut Fields<'_>) -> Option<Acme> {
    let mut fields = top.table("acme", "[acme]")?;
    let directory = fields.get("directory");
    let directory = match &directory {
        Some(node) => read_directory(node),
        None => Some(LETS_ENCRYPT.to_owned()),
    };
    let contact = fields
        .get("contact")
        .and_then(|node| node.list("mail addresses"));
    let contact = contact.unwrap_or_default();
    let contact = contact.iter().filter_map(read_contact).collect();
    let storage = fields
        .require("storage", "\"/var/lib/weir/acme\"")
        .and_then(|node| {
            let text = node.plain_text("/var/lib/weir/acme")?;
            Some(resolve(text, node.reader.base))
        });
    let ca = fields.get("ca").and_then(|node| {
        let text = node.plain_text("ca.pem")?;
        Some(resolve(text, node.reader.base))
    });
    let agreed = fields.require("agree_to_terms", "true");
    let agreed = agreed.and_then(|node| {
        let agreed = node.boolean()?;
        if !agreed {
            node.wrong(
                "is `false`, and without that no authority issues anything",
                "read the authority's terms and write `true`",
            );
        }
        Some(agreed)
    });
    fields.finish(&[("email", "write `contact = [\"ops@example.com\"]`")]);
    agreed?;
    Some(Acme {
        directory: directory?,
        contact,
        storage: storage?,
        ca,
    })
}

/// Reads the names of a listener's certificate.
pub(super) fn read_acme_names(node: &Node<'_>, issuer: &Issuer) -> Option<AcmeNames> {
    let entries = node.list("names")?;
    if entries.is_empty() {
        node.wrong("is empty", "name at least one host");
    }
    if entries.len() > MOST_NAMES {
        node.wrong(
            format!("has {} names", entries.len()),
            format!("at most {MOST_NAMES} go into one certificate"),
        );
    }
    let names: Vec<String> = entries.iter().filter_map(read_name).collect();
    let acme = match issuer {
        Issuer::Known(acme) => acme,
        Issuer::Unclear => return None,
        Issuer::Nobody => {
            node.wrong(
                "needs to know who issues the certificate",
                "add `[acme]` with `storage` and `agree_to_terms`",
            );
            return None;
        }
    };
    let first = names.first()?;
    Some(AcmeNames {
        file: acme.storage.join(format!("{first}.pem")),
        names,
    })
}

fn read_directory(node: &Node<'_>) -> Option<String> {
    let text = node.plain_text(LETS_ENCRYPT)?;
    if !text.starts_with("https://") {
        node.wrong(
            format!("is no address of a directory: `{}`", shorten(text)),
            format!("write something like \"{LETS_ENCRYPT}\""),
        );
        return None;
    }
    Some(text.to_owned())
}

fn read_contact(node: &Node<'_>) -> Option<String> {
    let text = node.plain_text("ops@example.com")?;
    let sound = text.split_once('@').is_some_and(|(user, host)| {
        !user.is_empty()
            && !host.is_empty()
            && !text.contains(|c: char| c.is_whitespace() || c == ':')
    });
    if !sound {
        node.wrong(
            format!("is no mail address: `{}`", shorten(text)),
            "write \"ops@example.com\"",
        );
        return None;
    }
    Some(text.to_owned())
}

fn read_name(node: &Node<'_>) -> Option<String> {
    let text = node.plain_text("www.example.com")?;
    let label = |part: &str| {
        (1..=63).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    if text.starts_with("*.") {
        node.wrong(
            "is a wildcard, which the challenge that Weir answers does not cover",
            "list the names one by one",
        );
        return None;
    }
    if text.len() > 253 || !text.contains('.') || !text.split('.').all(label) {
        node.wrong(
            format!("is no public host name: `{}`", shorten(text)),
            "write \"www.example.com\"",
        );
        return None;
    }
    Some(text.to_ascii_lowercase())
}
