//! What an administrator can do with a cache: see how full it is, and empty it.

use hyper::StatusCode;

use super::admin::Admin;
use crate::{cache::Cache, config::LogLevel, frontend::Generation};

/// Does what `POST /caches/NAME/purge` asks for; `path` is what follows `/caches/`. Answers with what became of
/// it.
pub fn manage(admin: &Admin, path: &str) -> (StatusCode, String) {
    let Some(name) = path.strip_suffix("/purge") else {
        let what = "write /caches/NAME/purge\n".to_owned();
        return (StatusCode::NOT_FOUND, what);
    };
    let generation = admin.current.borrow();
    let mut caches = generation.caches.iter();
    let Some(cache) = caches.find(|cache| cache.settings().name == name) else {
        let message = format!("there is no cache `{name}`\n");
        return (StatusCode::NOT_FOUND, message);
    };
    let count = cache.purge();
    let text = format!("Cache {name} emptied of {count} answers by an administrator");
    admin.log.event(LogLevel::Notice, text);
    (StatusCode::OK, format!("{count} answers forgotten\n"))
}

/// A value of each cache, with its labels.
pub fn samples(generation: &Generation, value: fn(&Cache) -> usize) -> Vec<(String, u64)> {
    let caches = generation.caches.iter();
    caches
        .map(|cache| {
            let labels = format!("{{cache=\"{}\"}}", cache.settings().name);
            (labels, value(cache) as u64)
        })
        .collect()
}
