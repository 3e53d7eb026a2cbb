//! Files that nobody means: an answer, and quickly.

use std::time::{Duration, Instant};

use weir_haproxy::{Nothing, import};

/// What they take here is a fraction of it; a loop over all pairs of lines would take minutes.
const PATIENCE: Duration = Duration::from_secs(30);

fn answered(text: &[u8]) -> Result<(), String> {
    let begun = Instant::now();
    let result = import("h.cfg", text, &Nothing).map(drop);
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    result.map_err(|problems| problems.to_string())
}

#[test]
fn ten_megabytes_of_garbage_are_an_error() {
    let mut seed = 1_u32;
    let mut byte = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    let garbage: Vec<u8> = (0..10 << 20).map(|_| byte()).collect();
    assert!(answered(&garbage).unwrap_err().contains("at most"));
    let lines: Vec<u8> = garbage[..7 << 20].iter().map(|byte| byte | 0x20).collect();
    assert!(answered(&lines).is_err());
}

#[test]
fn one_endless_line_is_an_error() {
    let line = [b"frontend a\n bind ".as_slice(), &vec![b':'; 7 << 20]].concat();
    assert!(answered(&line).unwrap_err().contains("a line of"));
}

#[test]
fn deep_nesting_is_an_error() {
    let ifs = ".if 1\n".repeat(100_000);
    assert!(
        answered(ifs.as_bytes())
            .unwrap_err()
            .contains("nested deeper than 16")
    );
    let parentheses = format!(
        "defaults\n mode http\nfrontend a\n bind :1\n acl x path,{}\n",
        "field(".repeat(5_000)
    );
    assert!(
        answered(parentheses.as_bytes())
            .unwrap_err()
            .contains("without `)`")
    );
    let bangs = format!(
        "frontend a\n bind :1\n mode http\n http-request deny if {}TRUE\n",
        "!".repeat(30_000)
    );
    assert_eq!(answered(bangs.as_bytes()), Ok(()));
}

#[test]
fn many_of_everything_take_their_time_and_no_more() {
    let mut text = String::from("defaults\n mode http\nfrontend a\n bind :1\n default_backend b\n");
    for number in 0..5_000 {
        text.push_str(&format!(" acl n{number} path_beg /n{number}\n use_backend b if n{number} !{{ hdr(x) v{number} }}\n"));
    }
    text.push_str("backend b\n");
    for number in 0..5_000 {
        text.push_str(&format!(
            " server s{number} 10.0.0.1:80 check inter {}s\n",
            1 + number % 500
        ));
    }
    assert_eq!(answered(text.as_bytes()), Ok(()));
}
