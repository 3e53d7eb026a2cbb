//! What finds, for one fact of an exchange, all tests of it that hold: without trying them in turn.

mod networks;
mod trie;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder};
use regex::bytes::{RegexBuilder, RegexSet, RegexSetBuilder};
use weir_sdk::Network;

use networks::Networks;
use trie::{Direction, Fit, Pattern, Trie};

/// Of a compiled set of regular expressions, and of what it may cache while it searches; in bytes.
const REGEX_SIZE: usize = 4 << 20;

/// A way to test a text against a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Technique {
    Exact,
    Prefix,
    /// A prefix up to a `/` or the end.
    Segment,
    Suffix,
    /// A suffix from a `.` or the start.
    Domain,
    Contains,
    Regex,
    Network,
    /// A whole number between two others: `10:20`, each of which may be left out.
    Number,
    Present,
}

impl Technique {
    /// The family that can share one index.
    pub fn family(self) -> Family {
        match self {
            Self::Exact | Self::Prefix | Self::Segment => Family::Beginnings,
            Self::Suffix | Self::Domain => Family::Endings,
            Self::Contains => Family::Substrings,
            Self::Regex => Family::Regexes,
            Self::Network => Family::Networks,
            Self::Number => Family::Numbers,
            Self::Present => Family::Presence,
        }
    }
}

/// Tests that one index answers together. Ordered from cheap to dear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    Presence,
    Beginnings,
    Endings,
    Numbers,
    Networks,
    Substrings,
    Regexes,
}

/// A pattern that no index can be made of.
#[derive(Debug)]
pub struct BadPattern {
    /// The test that it belongs to.
    pub id: u32,
    pub problem: String,
}

/// One test for an index: its number, and one of the patterns that make it hold.
#[derive(Debug, Clone, Copy)]
pub struct Test<'t> {
    pub id: u32,
    pub technique: Technique,
    pub pattern: &'t str,
}

/// All tests of one family on one fact.
#[derive(Debug)]
pub enum Index {
    Texts(Trie),
    Substrings {
        automaton: AhoCorasick,
        ids: Vec<u32>,
    },
    Regexes {
        set: RegexSet,
        ids: Vec<u32>,
    },
    Networks(Networks),
    /// Least, most and the test's number.
    Numbers(Vec<(i64, i64, u32)>),
    Presence(Vec<u32>),
}

impl Index {
    /// `tests` must be of `family`.
    pub fn new(family: Family, ignore_case: bool, tests: &[Test<'_>]) -> Result<Self, BadPattern> {
        let ids = || tests.iter().map(|test| test.id).collect();
        Ok(match family {
            Family::Beginnings => Self::Texts(Trie::new(
                Direction::Forward,
                ignore_case,
                b'/',
                &patterns(tests),
            )),
            Family::Endings => Self::Texts(Trie::new(
                Direction::Backward,
                ignore_case,
                b'.',
                &patterns(tests),
            )),
            Family::Substrings => Self::Substrings {
                automaton: substrings(ignore_case, tests)?,
                ids: ids(),
            },
            Family::Regexes => Self::Regexes {
                set: regexes(ignore_case, tests)?,
                ids: ids(),
            },
            Family::Networks => Self::Networks(networks(tests)?),
            Family::Numbers => Self::Numbers(tests.iter().map(range).collect()),
            Family::Presence => Self::Presence(ids()),
        })
    }

    /// Calls `found` with the number of every test that holds for `text`; for some more than once.
    pub fn find(&self, text: &str, mut found: impl FnMut(u32)) {
        match self {
            Self::Texts(trie) => trie.find(text, found),
            Self::Substrings { automaton, ids } => automaton
                .find_overlapping_iter(text)
                .for_each(|hit| found(ids[hit.pattern().as_usize()])),
            Self::Regexes { set, ids } => {
                set.matches(text.as_bytes())
                    .iter()
                    .for_each(|hit| found(ids[hit]));
            }
            Self::Networks(networks) => networks.find(text, found),
            Self::Numbers(ranges) => {
                if let Ok(number) = text.trim().parse::<i64>() {
                    let fitting = ranges
                        .iter()
                        .filter(|(least, most, _)| (*least..=*most).contains(&number));
                    fitting.for_each(|(_, _, id)| found(*id));
                }
            }
            Self::Presence(ids) => ids.iter().copied().for_each(found),
        }
    }
}

/// The bounds of `10:20`.
fn range(test: &Test<'_>) -> (i64, i64, u32) {
    let (least, most) = test
        .pattern
        .split_once(':')
        .unwrap_or((test.pattern, test.pattern));
    (
        least.parse().unwrap_or(i64::MIN),
        most.parse().unwrap_or(i64::MAX),
        test.id,
    )
}

fn patterns<'t>(tests: &[Test<'t>]) -> Vec<Pattern<'t>> {
    tests
        .iter()
        .map(|test| {
            let (text, fit) = match test.technique {
                Technique::Exact => (test.pattern, Fit::Whole),
                // `/app/` means what `/app` means, and `/` everything.
                Technique::Segment => (test.pattern.trim_end_matches('/'), Fit::StartAtBoundary),
                Technique::Domain => (test.pattern.trim_start_matches('.'), Fit::StartAtBoundary),
                Technique::Prefix
                | Technique::Suffix
                | Technique::Contains
                | Technique::Regex
                | Technique::Network
                | Technique::Number
                | Technique::Present => (test.pattern, Fit::Start),
            };
            Pattern {
                text,
                fit,
                id: test.id,
            }
        })
        .collect()
}

fn substrings(ignore_case: bool, tests: &[Test<'_>]) -> Result<AhoCorasick, BadPattern> {
    AhoCorasickBuilder::new()
        .ascii_case_insensitive(ignore_case)
        .build(tests.iter().map(|test| test.pattern))
        .map_err(|error| BadPattern {
            id: tests.first().map_or(0, |test| test.id),
            problem: error.to_string(),
        })
}

/// Matching is linear in the text whatever the pattern; Unicode classes are off, since what HTTP
/// carries is bytes and their tables would be most of the plugin's size.
fn regexes(ignore_case: bool, tests: &[Test<'_>]) -> Result<RegexSet, BadPattern> {
    RegexSetBuilder::new(tests.iter().map(|test| test.pattern))
        .unicode(false)
        .case_insensitive(ignore_case)
        .size_limit(REGEX_SIZE)
        .dfa_size_limit(REGEX_SIZE)
        .build()
        .map_err(|error| {
            culprit(tests).unwrap_or_else(|| BadPattern {
                id: tests.first().map_or(0, |test| test.id),
                problem: format!(
                    "all regular expressions on this fact together are too large: {error}"
                ),
            })
        })
}

/// The first expression that fails by itself. The set's own error does not name it.
fn culprit(tests: &[Test<'_>]) -> Option<BadPattern> {
    tests.iter().find_map(|test| {
        let error = RegexBuilder::new(test.pattern)
            .unicode(false)
            .size_limit(REGEX_SIZE)
            .build()
            .err()?;
        Some(BadPattern {
            id: test.id,
            problem: format!(
                "`{}` is no regular expression: {}",
                test.pattern,
                last_line(&error)
            ),
        })
    })
}

/// Syntax errors come as a drawing with carets; its last line is the message.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

fn networks(tests: &[Test<'_>]) -> Result<Networks, BadPattern> {
    let parsed: Result<Vec<(Network, u32)>, BadPattern> = tests
        .iter()
        .map(|test| match test.pattern.parse() {
            Ok(network) => Ok((network, test.id)),
            Err(error) => Err(BadPattern {
                id: test.id,
                problem: format!("`{}`: {error}", test.pattern),
            }),
        })
        .collect();
    Ok(Networks::new(&parsed?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(technique: Technique, ignore_case: bool, pattern: &str, text: &str) -> bool {
        let test = Test {
            id: 7,
            technique,
            pattern,
        };
        let index = Index::new(technique.family(), ignore_case, &[test]).unwrap();
        let mut hits = Vec::new();
        index.find(text, |id| hits.push(id));
        assert!(hits.iter().all(|id| *id == 7));
        !hits.is_empty()
    }

    #[test]
    fn each_technique_tests_what_its_name_says() {
        use Technique::*;
        for (technique, pattern, yes, no) in [
            (Exact, "/a", "/a", "/ab"),
            (Prefix, "/a", "/ab", "/b"),
            (Segment, "/a", "/a/b", "/ab"),
            (Segment, "/a/", "/a", "/ab"),
            (Segment, "/", "/anything", "*"),
            (Suffix, ".png", "/x.png", "/x.png2"),
            (Domain, "a.example", "x.a.example", "xa.example"),
            (Domain, ".a.example", "a.example", "a.example.org"),
            (Contains, "ab", "xxabyy", "axb"),
            (Regex, "^/a[0-9]+$", "/a12", "/a12x"),
            (Network, "10.0.0.0/8", "10.9.8.7", "11.0.0.1"),
            (Number, "10:20", "20", "21"),
            (Number, ":5", "-7", "x"),
            (Present, "", "anything", "anything"),
        ] {
            assert!(
                holds(technique, false, pattern, yes),
                "{technique:?} {pattern} {yes}"
            );
            assert_eq!(
                holds(technique, false, pattern, no),
                technique == Present,
                "{technique:?} {pattern} {no}"
            );
        }
    }

    #[test]
    fn every_text_technique_can_ignore_case() {
        use Technique::*;
        for (technique, pattern, text) in [
            (Exact, "aB", "Ab"),
            (Prefix, "aB", "AbX"),
            (Suffix, "aB", "xAb"),
            (Contains, "aB", "xAbx"),
            (Regex, "aB$", "xAb"),
        ] {
            assert!(holds(technique, true, pattern, text), "{technique:?}");
            assert!(!holds(technique, false, pattern, text), "{technique:?}");
        }
    }

    #[test]
    fn overlapping_substrings_are_all_found() {
        let tests: Vec<Test<'_>> = ["abc", "b", "bcd", "x"]
            .into_iter()
            .zip(0..)
            .map(|(pattern, id)| Test {
                id,
                technique: Technique::Contains,
                pattern,
            })
            .collect();
        let index = Index::new(Family::Substrings, false, &tests).unwrap();
        let mut hits = Vec::new();
        index.find("abcd", |id| hits.push(id));
        hits.sort_unstable();
        assert_eq!(hits, [0, 1, 2]);
    }

    #[test]
    fn a_regex_that_cannot_be_is_named() {
        let tests = [("ok", 3), ("(", 4)].map(|(pattern, id)| Test {
            id,
            technique: Technique::Regex,
            pattern,
        });
        let error = Index::new(Family::Regexes, false, &tests).unwrap_err();
        assert_eq!(error.id, 4);
        assert_eq!(
            error.problem,
            "`(` is no regular expression: unclosed group"
        );
        let huge = [Test {
            id: 0,
            technique: Technique::Regex,
            pattern: "(a{1000}){1000}",
        }];
        assert!(
            Index::new(Family::Regexes, false, &huge)
                .unwrap_err()
                .problem
                .contains("size limit")
        );
        let look = [Test {
            id: 0,
            technique: Technique::Regex,
            pattern: "(?=a)",
        }];
        assert!(
            Index::new(Family::Regexes, false, &look)
                .unwrap_err()
                .problem
                .contains("look-around")
        );
    }

    #[test]
    fn a_pattern_that_ruins_backtracking_engines_stays_linear() {
        assert!(!holds(
            Technique::Regex,
            false,
            "^(a+)+$",
            &format!("{}b", "a".repeat(50_000))
        ));
    }
}
