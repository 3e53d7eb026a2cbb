//! `[[cache]]`, and `cache` of a frontend or backend, which names one.

use std::time::Duration;

use super::{
    Said,
    name::{Unique, read_name},
    plugin_use::hint_among,
    read::Fields,
    value::{Node, shorten},
};

/// Whole answers that are kept in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    pub name: String,
    /// Bytes of all answers, with what they take besides.
    pub max_size: usize,
    /// Bytes of one answer's body.
    pub max_object: usize,
    /// How long an answer is kept, even if its server would allow more.
    pub max_age: Duration,
}

/// How a frontend or backend uses a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheUse {
    pub name: String,
    pub when: CacheWhen,
}

/// Which requests a cache has a part in, of those that it can have a part in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheWhen {
    /// All but those for which a filter set the variable `cache` to `no`.
    Always,
    /// Those for which a filter set it to `yes`.
    Asked,
}

/// Reads all `[[cache]]`.
pub(super) fn read_caches(top: &mut Fields<'_>) -> Vec<Cache> {
    let mut names = Unique::new("cache");
    top.tables("cache", "[[cache]]")
        .into_iter()
        .filter_map(|fields| read_cache(fields, &mut names))
        .collect()
}

fn read_cache(mut fields: Fields<'_>, names: &mut Unique) -> Option<Cache> {
    let name = read_name(&mut fields, "cache", names);
    let size = |node: &Node<'_>| {
        let size = node.size(1024..=1 << 40)?;
        usize::try_from(size).ok()
    };
    let max_size = fields.get("max_size").and_then(|node| size(&node));
    let max_size = max_size.unwrap_or(64 << 20);
    let max_object = fields.get("max_object").and_then(|node| {
        let read = size(&node)?;
        if read > max_size / 2 {
            node.wrong(
                format!("is more than half of `max_size`, which is {max_size}B"),
                "write less, or a larger `max_size`",
            );
            return None;
        }
        Some(read)
    });
    let max_age = fields.get("max_age").and_then(|node| node.duration());
    fields.finish(&[
        ("total_max_size", "write `max_size = \"4MiB\"`"),
        ("max_object_size", "write `max_object = \"64KiB\"`"),
        ("size", "write `max_size = \"4MiB\"`"),
    ]);
    Some(Cache {
        name: name?,
        max_size,
        // As HAProxy has it.
        max_object: max_object.unwrap_or((max_size / 256).max(1024).min(max_size / 2)),
        max_age: max_age.unwrap_or(Duration::from_secs(60)),
    })
}

/// Reads `cache` of a frontend or backend. `known` are the caches of the file, sound or not.
pub(super) fn read_cache_use(parent: &mut Fields<'_>, known: &[&str]) -> Said<CacheUse> {
    let Some(node) = parent.get("cache") else {
        return Said::Nothing;
    };
    if node.value().as_bool() == Some(false) {
        return Said::Off;
    }
    let read = match node.value().is_table() {
        true => read_table(&node, known),
        false if node.value().is_str() => read_known(&node, known).map(|name| CacheUse {
            name,
            when: CacheWhen::Always,
        }),
        false => {
            node.wrong_type(
                "the name of a `[[cache]]`, `false` or a table",
                "write `cache = \"pages\"` or `{ name = \"pages\", when = \"asked\" }`",
            );
            None
        }
    };
    read.map_or(Said::Nothing, Said::On)
}

fn read_table(node: &Node<'_>, known: &[&str]) -> Option<CacheUse> {
    let mut fields = node.fields("cache")?;
    let name = fields.require("name", "\"pages\"");
    let name = name.and_then(|node| read_known(&node, known));
    let when = fields.get("when").and_then(|node| {
        node.choice(&[("always", CacheWhen::Always), ("asked", CacheWhen::Asked)])
    });
    fields.finish(&[
        ("max_size", "write it in the `[[cache]]`"),
        ("max_object", "write it in the `[[cache]]`"),
        ("max_age", "write it in the `[[cache]]`"),
    ]);
    Some(CacheUse {
        name: name?,
        when: when.unwrap_or(CacheWhen::Always),
    })
}

fn read_known(node: &Node<'_>, known: &[&str]) -> Option<String> {
    let name = node.plain_text("pages")?;
    if !known.contains(&name) {
        node.complain(
            format!("no cache named `{}`", shorten(name)),
            hint_among("cache", name, known.iter().copied()),
        );
        return None;
    }
    Some(name.to_owned())
}
