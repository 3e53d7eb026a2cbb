//! Components out of registries: `oci://…`, `[registry."…"]`, and `[trust]`, which says whose signatures are
//! needed. Fetching and verifying is not done here.

use std::{fmt, fs, path::PathBuf, str::FromStr, sync::Arc};

use super::{
    PluginSource,
    address::resolve,
    read::Fields,
    value::{Node, shorten},
};

/// Where a component lies in a registry: `oci://host/team/algo:1.2`, `oci://host/team/algo@sha256:…`, or both.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OciReference {
    /// Host and, if it has one, port.
    pub registry: String,
    pub repository: String,
    /// There is a tag, a digest or both.
    pub tag: Option<String>,
    /// Of the manifest: `sha256:` and 64 hexadecimal digits.
    pub digest: Option<String>,
}

/// A component in a registry, and how the registry is reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OciSource {
    pub reference: OciReference,
    pub access: RegistryAccess,
}

/// How a registry is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct RegistryAccess {
    /// HTTP without TLS.
    pub plain_http: bool,
    /// Certificates that are trusted besides the usual ones, as PEM.
    pub ca: Option<Vec<u8>>,
    pub moved_tags: MovedTags,
}

/// What to do if a tag no longer names the component that it named when it was first used here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum MovedTags {
    /// The component is not loaded.
    #[default]
    Refuse,
    /// What it names now is loaded.
    Follow,
}

/// Whose signature a component needs: any one of these keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedBy {
    pub keys: Vec<KeyFile>,
}

/// A public key as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    pub file: PathBuf,
    pub pem: String,
}

/// A text that names no component in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadReference {
    pub found: String,
}

impl fmt::Display for BadReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` names no component in a registry; {FORM}",
            shorten(&self.found)
        )
    }
}

impl std::error::Error for BadReference {}

const FORM: &str = "write \"oci://host/team/name:tag\" or \"oci://host/team/name@sha256:…\"";

impl FromStr for OciReference {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        parse(text).ok_or_else(|| BadReference {
            found: text.to_owned(),
        })
    }
}

fn parse(text: &str) -> Option<OciReference> {
    let rest = text.strip_prefix("oci://")?;
    let (registry, rest) = rest.split_once('/')?;
    let (rest, digest) = match rest.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (rest, None),
    };
    let (repository, tag) = match rest.split_once(':') {
        Some((repository, tag)) => (repository, Some(tag)),
        None => (rest, None),
    };
    let is_host = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
    let host_is_sound = !registry.is_empty() && registry.chars().all(is_host);
    let is_part = |part: &str| {
        !part.is_empty()
            && part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
    };
    let is_tag = |tag: &str| {
        (1..=128).contains(&tag.len())
            && !tag.starts_with(['.', '-'])
            && tag
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    let is_digest = |digest: &str| {
        digest.strip_prefix("sha256:").is_some_and(|hex| {
            hex.len() == 64 && hex.bytes().all(|b| b"0123456789abcdef".contains(&b))
        })
    };
    let sound = host_is_sound
        && repository.len() <= 255
        && repository.split('/').all(is_part)
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest)
        && (tag.is_some() || digest.is_some());
    sound.then(|| OciReference {
        registry: registry.to_owned(),
        repository: repository.to_owned(),
        tag: tag.map(str::to_owned),
        digest: digest.map(str::to_owned),
    })
}

impl fmt::Display for OciReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

/// What the file says of registries and of keys.
#[derive(Debug, Default)]
pub struct Sharing {
    registries: Vec<(String, RegistryAccess)>,
    /// What a source begins with, and the keys.
    trust: Vec<(String, Arc<SignedBy>)>,
}

/// Reads `[registry."…"]` and `[trust]`.
pub(super) fn read_sharing(top: &mut Fields<'_>) -> Sharing {
    let mut sharing = Sharing::default();
    if let Some(mut table) = top.table("registry", "[registry.\"host\"]") {
        for (_, host, node) in table.entries() {
            if let Some(fields) = node.fields("[registry.\"host\"]") {
                sharing.registries.push((host, read_registry(fields)));
            }
        }
    }
    if let Some(mut table) = top.table("trust", "[trust]") {
        for (_, prefix, node) in table.entries() {
            let Some(files) = node.list("files with public keys") else {
                continue;
            };
            let keys: Vec<KeyFile> = files.iter().filter_map(read_key).collect();
            if keys.is_empty() {
                node.wrong("names no key", "write [\"keys/team.pub\"]");
            }
            let prefix = match prefix.starts_with("./") || prefix.starts_with('/') {
                true => resolve(&prefix, node.reader.base).display().to_string(),
                false => prefix,
            };
            sharing.trust.push((prefix, Arc::new(SignedBy { keys })));
        }
    }
    sharing
}

fn read_registry(mut fields: Fields<'_>) -> RegistryAccess {
    const MOVED: &[(&str, MovedTags)] =
        &[("refuse", MovedTags::Refuse), ("follow", MovedTags::Follow)];
    let mut access = RegistryAccess::default();
    if let Some(plain) = fields.get("plain_http").and_then(|node| node.boolean()) {
        access.plain_http = plain;
    }
    access.ca = fields
        .get("ca")
        .and_then(|node| read_file(&node, "ca.pem"))
        .map(|(_, bytes)| bytes);
    if let Some(moved) = fields.get("moved_tags").and_then(|node| node.choice(MOVED)) {
        access.moved_tags = moved;
    }
    fields.finish(&[]);
    access
}

fn read_key(node: &Node<'_>) -> Option<KeyFile> {
    let (file, bytes) = read_file(node, "team.pub")?;
    match String::from_utf8(bytes) {
        Ok(pem) if pem.contains("-----BEGIN PUBLIC KEY-----") => Some(KeyFile { file, pem }),
        Ok(_) | Err(_) => {
            node.wrong(
                "holds no public key",
                "give a PEM file with `BEGIN PUBLIC KEY`, as `weir plugin keygen` and cosign make it",
            );
            None
        }
    }
}

fn read_file(node: &Node<'_>, example: &str) -> Option<(PathBuf, Vec<u8>)> {
    let file = resolve(node.plain_text(example)?, node.reader.base);
    match fs::read(&file) {
        Ok(bytes) => Some((file, bytes)),
        Err(error) => {
            node.wrong(
                format!("cannot be read: {error}"),
                format!("looked for {}", file.display()),
            );
            None
        }
    }
}

impl Sharing {
    /// A component in a registry, by the text that names it.
    pub(super) fn source(&self, node: &Node<'_>, text: &str) -> Option<PluginSource> {
        let reference: OciReference = match text.parse() {
            Ok(reference) => reference,
            Err(_) => {
                node.wrong(format!("names no component: `{}`", shorten(text)), FORM);
                return None;
            }
        };
        let known = self.registries.iter();
        let access = known
            .filter(|(host, _)| *host == reference.registry)
            .map(|(_, access)| access.clone())
            .next()
            .unwrap_or_default();
        Some(PluginSource::Oci(Box::new(OciSource { reference, access })))
    }

    /// Whose signature a source needs: as the longest text says that it begins with. None for Weir's own.
    pub(super) fn signed_by(&self, source: &PluginSource) -> Option<Arc<SignedBy>> {
        let text = match source {
            PluginSource::Bundled(_) => return None,
            PluginSource::File(path) => path.display().to_string(),
            PluginSource::Oci(source) => source.reference.to_string(),
        };
        let fitting = self
            .trust
            .iter()
            .filter(|(prefix, _)| prefix == "*" || text.starts_with(prefix.as_str()));
        let longest =
            fitting.max_by_key(|(prefix, _)| if prefix == "*" { 0 } else { prefix.len() });
        longest.map(|(_, trust)| Arc::clone(trust))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:ab875b002aaac46e3e98c3ba8bb01c348c1620317a727a80034452ae9ecc9aa4";

    #[test]
    fn a_reference_prints_the_text_it_is_read_from() {
        for text in [
            "oci://registry.example/team/algo:1.2".to_owned(),
            "oci://127.0.0.1:5000/algo:latest".to_owned(),
            format!("oci://registry.example/a/b/c@{DIGEST}"),
            format!("oci://registry.example/a:1@{DIGEST}"),
        ] {
            assert_eq!(text.parse::<OciReference>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_names_no_component_is_refused() {
        for text in [
            "oci://registry.example/team/algo",
            "oci://registry.example",
            "oci:///a:1",
            "oci://h/Team/algo:1",
            "oci://h/../etc:1",
            "oci://h/a:",
            "oci://h/a:1@sha256:abc",
            "https://h/a:1",
            "oci://h h/a:1",
        ] {
            assert!(text.parse::<OciReference>().is_err(), "{text}");
        }
    }
}
