//! `[[map]]`: files of keys and values for plugins. Their contents are read later, and again whenever
//! they change.

use super::{
    MapFile, MapMatch, address,
    name::{Unique, read_name},
    read::Fields,
};

const MATCHES: &[(&str, MapMatch)] = &[
    ("exact", MapMatch::Exact),
    ("prefix", MapMatch::Prefix),
    ("cidr", MapMatch::Cidr),
];

pub(super) fn read_maps(top: &mut Fields<'_>) -> Vec<MapFile> {
    let mut names = Unique::new("map");
    top.tables("map", "[[map]]")
        .into_iter()
        .filter_map(|fields| read_map(fields, &mut names))
        .collect()
}

fn read_map(mut fields: Fields<'_>, names: &mut Unique) -> Option<MapFile> {
    let name = read_name(&mut fields, "map", names);
    let file = fields.require("file", "\"tiers.map\"").and_then(|node| {
        let file = address::resolve(node.plain_text("tiers.map")?, node.reader.base);
        match std::fs::metadata(&file) {
            Ok(about) if about.is_file() => {}
            Ok(_) => node.wrong(
                format!("is not a regular file: {}", file.display()),
                "a map is a text file with a key and a value on each line",
            ),
            Err(error) => node.wrong(
                format!("cannot be read: {error}"),
                format!("looked for {}", file.display()),
            ),
        }
        Some(file)
    });
    let matching = fields.get("match").map(|node| node.choice(MATCHES));
    fields.finish(&[]);
    Some(MapFile {
        name: name?,
        file: file?,
        matching: matching.unwrap_or(Some(MapMatch::Exact))?,
    })
}
