//! How a component is laid out in a registry: as the CNCF's TAG Runtime has it, and `wkg` writes and reads it.
//! A config of the type `application/vnd.wasm.config.v0+json`, and one layer, `application/wasm`.

use std::collections::BTreeMap;

use oci_client::manifest::{OciDescriptor, OciImageManifest};
use serde_json::json;

use super::{StoreError, digest};
use crate::config::OciReference;

pub const CONFIG_TYPE: &str = "application/vnd.wasm.config.v0+json";
pub const LAYER_TYPE: &str = "application/wasm";
/// As large as a plugin's file may be.
const LARGEST: u64 = 64 << 20;

/// What is said of a component where it is sent.
#[derive(Debug, Clone, Default)]
pub struct About {
    pub name: String,
    pub version: String,
    pub summary: String,
    /// The names of its imports and exports.
    pub imports: Vec<String>,
    pub exports: Vec<String>,
}

/// The layer of a manifest that is a component's.
pub fn layer(reference: &OciReference, manifest: &[u8]) -> Result<OciDescriptor, StoreError> {
    let refused = |found: String| StoreError::NotAComponent {
        reference: reference.to_string(),
        found,
    };
    let manifest: OciImageManifest = serde_json::from_slice(manifest)
        .map_err(|_| refused("its manifest is none of an image".to_owned()))?;
    let types = || {
        let types: Vec<&str> = manifest
            .layers
            .iter()
            .map(|l| l.media_type.as_str())
            .collect();
        match types.is_empty() {
            true => "it has no layer".to_owned(),
            false => format!("its layers are {}", types.join(", ")),
        }
    };
    let [layer] = manifest.layers.as_slice() else {
        return Err(refused(types()));
    };
    if layer.media_type != LAYER_TYPE {
        return Err(refused(types()));
    }
    let size = u64::try_from(layer.size).unwrap_or(u64::MAX);
    if size > LARGEST {
        return Err(StoreError::TooLarge {
            reference: reference.to_string(),
            found: size,
            limit: LARGEST,
        });
    }
    Ok(layer.clone())
}

/// The config of a component. Without the time of sending, so that the same component always has the same
/// digest.
pub fn config(component: &[u8], about: &About) -> Vec<u8> {
    let config = json!({
        "created": "1970-01-01T00:00:00Z",
        "author": null,
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [digest(component)],
        "component": { "imports": about.imports, "exports": about.exports, "target": null },
    });
    config.to_string().into_bytes()
}

pub fn annotations(about: &About) -> BTreeMap<String, String> {
    [
        ("org.opencontainers.image.title", &about.name),
        ("org.opencontainers.image.version", &about.version),
        ("org.opencontainers.image.description", &about.summary),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(name, value)| (name.to_owned(), value.clone()))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(layers: serde_json::Value) -> Result<OciDescriptor, String> {
        let manifest = json!({
            "schemaVersion": 2,
            "config": { "mediaType": CONFIG_TYPE, "digest": "sha256:0", "size": 1 },
            "layers": layers,
        });
        let reference = "oci://h/a:1".parse().unwrap();
        layer(&reference, manifest.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn only_a_manifest_with_one_wasm_layer_is_a_component() {
        let of_type = |kind: &str, size: u64| json!({ "mediaType": kind, "digest": "sha256:1", "size": size });
        assert!(checked(json!([of_type(LAYER_TYPE, 1)])).is_ok());
        let tar = "application/vnd.oci.image.layer.v1.tar+gzip";
        for (layers, wanted) in [
            (json!([]), "it has no layer"),
            (json!([of_type(tar, 1)]), tar),
            (
                json!([of_type(LAYER_TYPE, 1), of_type(LAYER_TYPE, 1)]),
                "application/wasm, application/wasm",
            ),
            (json!([of_type(LAYER_TYPE, 1 << 30)]), "1073741824 bytes"),
        ] {
            let error = checked(layers).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
