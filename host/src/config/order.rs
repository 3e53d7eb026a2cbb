//! A `next` that is ordered while the proxy runs: the same keys as in the file, read by the same rules.

use std::{path::Path, rc::Rc, sync::Arc};

use toml::de::DeTable;

use super::{
    Config, ConfigError, ConfigErrors, ConfigPlaces, Next, PluginUse,
    acme::read_issuer,
    load::{folder_of, parse_from},
    next::read_fields,
    plugin_use::Surroundings,
    process::read_defaults,
    read::Fields,
};

/// What errors are said to be in.
const FILE: &str = "command";

/// Reads `text`, which is what the table `next` of `current` would hold in the file of `config`. Relative paths
/// start at the folder of that file.
///
/// # Errors
/// Everything that is wrong with it, each with its place in `text`.
pub fn read_order(text: &str, current: &PluginUse, config: &Config) -> Result<Next, ConfigErrors> {
    let file = Path::new(FILE);
    let current = PluginUse {
        places: ConfigPlaces {
            file: file.to_owned(),
            source: Arc::from(text),
            ..ConfigPlaces::default()
        },
        next: None,
        ..current.clone()
    };
    let names =
        |names: &mut dyn Iterator<Item = &str>| names.map(str::to_owned).collect::<Vec<_>>();
    let maps = names(&mut config.maps.iter().map(|it| it.name.as_str()));
    let counters = names(&mut config.counters.iter().map(|it| it.name.as_str()));
    let (next, _) = parse_from(&folder_of(&config.file), file, text, |reader, tree| {
        // Nothing is said of what stands elsewhere in the file.
        let nothing = DeTable::new();
        let mut elsewhere = Fields::top(reader, &nothing);
        let defaults = read_defaults(&mut elsewhere);
        let issuer = read_issuer(&mut elsewhere);
        let around = Surroundings {
            file,
            source: Arc::from(text),
            defaults: &defaults,
            sharing: &config.sharing,
            maps: maps.iter().map(String::as_str).collect(),
            caches: Vec::new(),
            counters: counters.iter().map(String::as_str).collect(),
            issuer: &issuer,
        };
        let fields = Fields::new(reader, &Rc::from(""), "next", tree, 0..0);
        read_fields(fields, &current, &around)
    })?;
    next.ok_or_else(|| ConfigError::of_file(file, "names no version").into())
}
