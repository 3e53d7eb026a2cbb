//! What is kept, what makes way, and what is never given.

use super::*;
use crate::http::{
    caching::keepable,
    heads::{request_head, response_head},
    response::Asked,
};

fn cache(max_size: usize, max_object: usize) -> Arc<Cache> {
    let settings = config::Cache {
        name: "c".to_owned(),
        max_size,
        max_object,
        max_age: Duration::from_secs(60),
    };
    Arc::new(Cache::new(settings, Arc::default()))
}

fn request(path: &str, fields: &str) -> RequestHead {
    let text = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    request_head(&text)
}

fn begin(cache: &Arc<Cache>, request: &RequestHead, fields: &str) -> Option<Fill> {
    let text = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nCache-Control: max-age=30\r\n{fields}\r\n"
    );
    let head = response_head(&text, Asked::Other);
    let now = std::time::SystemTime::now();
    let most = cache.settings().max_age;
    let kept = keepable(request, &head, now, Duration::ZERO, most).unwrap();
    let key = Key::new("b", "http", request).unwrap();
    cache.fill(key, &head, kept, Instant::now())
}

fn put(cache: &Arc<Cache>, request: &RequestHead, fields: &str, body: &[u8]) -> bool {
    let Some(mut fill) = begin(cache, request, fields) else {
        return false;
    };
    let fits = fill.put(body);
    fill.keep();
    fits
}

fn found_at(cache: &Cache, request: &RequestHead, now: Instant) -> Option<Vec<u8>> {
    let key = Key::new("b", "http", request).unwrap();
    let terms = Terms::of(request).unwrap();
    match cache.find(&key, request, &terms, now) {
        Found::Fresh(stored) => Some(stored.body.to_vec()),
        Found::Nothing => None,
    }
}

fn found(cache: &Cache, request: &RequestHead) -> Option<Vec<u8>> {
    found_at(cache, request, Instant::now())
}

#[test]
fn what_was_put_in_is_found_until_it_is_stale() {
    let cache = cache(1 << 20, 1 << 14);
    let (asked, other) = (request("/a?b", ""), request("/a", ""));
    assert!(put(&cache, &asked, "", b"body"));
    let now = Instant::now();
    assert_eq!(found_at(&cache, &asked, now).as_deref(), Some(&b"body"[..]));
    assert_eq!(found_at(&cache, &other, now), None, "another query");
    let later = now + Duration::from_secs(31);
    assert_eq!(found_at(&cache, &asked, later), None);
    assert_eq!(cache.contents(), (0, 0), "what is stale is forgotten");
}

#[test]
fn what_breaks_off_is_not_kept_and_one_comes_in_at_a_time() {
    let cache = cache(1 << 20, 1 << 14);
    let asked = request("/", "");
    let mut first = begin(&cache, &asked, "").unwrap();
    assert!(first.put(b"half"));
    assert!(begin(&cache, &asked, "").is_none(), "somebody is at it");
    drop(first);
    assert_eq!(found(&cache, &asked), None);
    assert_eq!(cache.filling.load(Ordering::Relaxed), 0);
    assert!(put(&cache, &asked, "", b"whole"));
    assert_eq!(found(&cache, &asked).as_deref(), Some(&b"whole"[..]));
    assert_eq!(cache.filling.load(Ordering::Relaxed), 0);
}

#[test]
fn what_changed_while_it_came_in_is_not_kept() {
    let cache = cache(1 << 20, 1 << 14);
    let asked = request("/", "");
    let mut fill = begin(&cache, &asked, "").unwrap();
    assert!(fill.put(b"old"));
    cache.forget(&Key::new("b", "http", &asked).unwrap());
    assert!(put(&cache, &asked, "", b"new"));
    fill.keep();
    assert_eq!(found(&cache, &asked).as_deref(), Some(&b"new"[..]));
}

#[test]
fn what_is_too_large_is_given_up() {
    let cache = cache(64 << 10, 8 << 10);
    let asked = request("/", "");
    assert!(put(&cache, &asked, "", &[b'x'; 8 << 10]));
    assert!(!put(&cache, &request("/b", ""), "", &[b'x'; (8 << 10) + 1]));
    assert_eq!(cache.contents().0, 1);
    // What is on its way in has a bound as well.
    let fills: Vec<_> = (0..8)
        .filter_map(|n| {
            let mut fill = begin(&cache, &request(&format!("/{n}"), ""), "")?;
            fill.put(&[b'x'; 8 << 10]).then_some(fill)
        })
        .collect();
    assert_eq!(fills.len(), 4);
}

#[test]
fn what_nobody_asks_for_makes_way() {
    let cache = cache(64 << 10, 8 << 10);
    let liked = request("/liked", "");
    assert!(put(&cache, &liked, "", &[b'x'; 4 << 10]));
    for n in 0..1_000 {
        assert!(found(&cache, &liked).is_some(), "after {n}");
        assert!(put(
            &cache,
            &request(&format!("/{n}"), ""),
            "",
            &[b'x'; 4 << 10]
        ));
        assert!(cache.contents().1 <= 64 << 10);
    }
    assert!(cache.contents().0 > 5);
    assert_eq!(found(&cache, &request("/3", "")), None);
}

#[test]
fn forgotten_answers_leave_nothing_behind() {
    let cache = cache(1 << 20, 8 << 10);
    let asked = request("/", "");
    for _ in 0..1_000 {
        assert!(put(&cache, &asked, "", b"x"));
        cache.forget(&Key::new("b", "http", &asked).unwrap());
    }
    assert_eq!(cache.contents(), (0, 0));
    let turns: usize = cache.shards.iter().map(|shard| lock(shard).turns()).sum();
    assert!(turns < 100, "{turns}");
    assert!(put(&cache, &asked, "", b"x"));
    assert_eq!(cache.purge(), 1);
    assert_eq!(found(&cache, &asked), None);
}

#[test]
fn variants_are_kept_apart_and_few() {
    let cache = cache(1 << 20, 8 << 10);
    for n in 0..100 {
        let asked = request("/", &format!("Accept: {n}\r\n"));
        assert!(put(
            &cache,
            &asked,
            "Vary: Accept\r\n",
            format!("{n}").as_bytes()
        ));
        assert_eq!(found(&cache, &asked), Some(format!("{n}").into_bytes()));
    }
    assert_eq!(cache.contents().0, 16);
    assert_eq!(found(&cache, &request("/", "Accept: 3\r\n")), None);
}

#[test]
fn credentials_get_what_the_server_lets_everybody_have() {
    let cache = cache(1 << 20, 8 << 10);
    let plain = request("/", "");
    let with = request("/", "Authorization: Basic YTpi\r\n");
    assert!(put(&cache, &plain, "", b"x"));
    assert!(found(&cache, &plain).is_some());
    assert_eq!(found(&cache, &with), None);
    assert!(put(&cache, &plain, "Cache-Control: public\r\n", b"x"));
    assert!(found(&cache, &with).is_some());
}

#[test]
fn a_key_does_not_go_by_spelling() {
    let of = |host: &str| Key::of("b", "http", host, "/");
    assert_eq!(of("Example.COM"), of("example.com:80"));
    assert_eq!(of("example.com:"), of("example.com"));
    assert_ne!(of("example.com:8080"), of("example.com"));
    assert_ne!(of("a"), Key::of("b", "https", "a", "/"));
    assert_ne!(of("a"), Key::of("c", "http", "a", "/"));
}

#[test]
fn a_location_of_the_same_origin_names_a_key() {
    let asked = request("/a", "");
    let beside = |location: &str| Key::beside("b", "http", &asked, location);
    for location in ["/x?y", "http://a/x?y", "HTTP://A:80/x?y#z"] {
        assert_eq!(
            beside(location),
            Some(Key::of("b", "http", "a", "/x?y")),
            "{location}"
        );
    }
    assert_eq!(beside("http://a"), Some(Key::of("b", "http", "a", "/")));
    for location in ["http://b/x", "https://a/x", "//a/x", "x", ""] {
        assert_eq!(beside(location), None, "{location}");
    }
}
