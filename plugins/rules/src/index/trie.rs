//! A byte trie that finds, in one walk over a text, every pattern that it equals, begins with, or
//! begins with up to a boundary. Read backwards it does the same for endings.

/// From which end a text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Forward,
    Backward,
}

/// How a pattern must lie in the text, seen from the end that is read first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fit {
    /// The text is the pattern.
    Whole,
    /// The text begins with the pattern.
    Start,
    /// The text begins with the pattern, and then ends or goes on with the boundary byte.
    StartAtBoundary,
}

/// A pattern and the number that is reported when it is found.
#[derive(Debug, Clone, Copy)]
pub struct Pattern<'p> {
    pub text: &'p str,
    pub fit: Fit,
    pub id: u32,
}

/// Nodes share one array each for labels, edges and ids, so that a walk touches little memory.
#[derive(Debug)]
pub struct Trie {
    direction: Direction,
    ignore_case: bool,
    boundary: u8,
    nodes: Vec<Node>,
    labels: Vec<u8>,
    /// First bytes of the children's labels, ascending within a node.
    edges: Vec<u8>,
    ids: Vec<u32>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn of<T>(self, all: &[T]) -> &[T] {
        &all[self.start as usize..self.end as usize]
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Node {
    label: Span,
    edges: Span,
    /// The node behind the first edge; those behind the others follow it.
    first_child: u32,
    whole: Span,
    start: Span,
    at_boundary: Span,
}

impl Trie {
    /// `boundary` is what must follow a pattern that fits [`Fit::StartAtBoundary`].
    pub fn new(
        direction: Direction,
        ignore_case: bool,
        boundary: u8,
        patterns: &[Pattern<'_>],
    ) -> Self {
        let mut entries: Vec<Entry> = patterns
            .iter()
            .map(|pattern| Entry {
                bytes: reading_order(pattern.text, direction, ignore_case),
                fit: pattern.fit,
                id: pattern.id,
            })
            .collect();
        entries.sort_unstable();
        entries.dedup();
        let mut trie = Self {
            direction,
            ignore_case,
            boundary,
            nodes: Vec::new(),
            labels: Vec::new(),
            edges: Vec::new(),
            ids: Vec::new(),
        };
        trie.nodes.push(Node::default());
        trie.fill(0, &entries, 0, 0);
        trie
    }

    /// Calls `found` with the id of every pattern that fits `text`. An id that stands for several
    /// patterns is reported once for each.
    pub fn find(&self, text: &str, found: impl FnMut(u32)) {
        let bytes = text.as_bytes();
        // One copy of the walk for each way to read, so that none pays for the others.
        match (self.direction, self.ignore_case) {
            (Direction::Forward, false) => self.walk(bytes.len(), |at| bytes[at], found),
            (Direction::Forward, true) => {
                self.walk(bytes.len(), |at| bytes[at].to_ascii_lowercase(), found);
            }
            (Direction::Backward, false) => {
                self.walk(bytes.len(), |at| bytes[bytes.len() - 1 - at], found);
            }
            (Direction::Backward, true) => self.walk(
                bytes.len(),
                |at| bytes[bytes.len() - 1 - at].to_ascii_lowercase(),
                found,
            ),
        }
    }

    #[inline]
    fn walk(&self, length: usize, byte: impl Fn(usize) -> u8, mut found: impl FnMut(u32)) {
        let mut at = 0;
        let mut node = &self.nodes[0];
        loop {
            let label = node.label.of(&self.labels);
            if label.len() > length - at || (0..label.len()).any(|i| byte(at + i) != label[i]) {
                return;
            }
            at += label.len();
            node.start.of(&self.ids).iter().for_each(|id| found(*id));
            if at == length {
                node.whole.of(&self.ids).iter().for_each(|id| found(*id));
                node.at_boundary
                    .of(&self.ids)
                    .iter()
                    .for_each(|id| found(*id));
                return;
            }
            let next = byte(at);
            if next == self.boundary {
                node.at_boundary
                    .of(&self.ids)
                    .iter()
                    .for_each(|id| found(*id));
            }
            let Ok(edge) = node.edges.of(&self.edges).binary_search(&next) else {
                return;
            };
            node = &self.nodes[node.first_child as usize + edge];
        }
    }

    /// Makes `node` stand for `entries`, which are sorted, agree on their first `depth` bytes, and
    /// whose bytes from `from` to the end of what they agree on become the node's label.
    fn fill(&mut self, node: usize, entries: &[Entry], from: usize, depth: usize) {
        let depth = depth + common_length(entries, depth);
        let mut filled = Node {
            label: push(
                &mut self.labels,
                entries.first().map_or(&[], |e| &e.bytes[from..depth]),
            ),
            ..Node::default()
        };
        // Shorter texts sort first, so the patterns that end at this node lead.
        let ends = entries.partition_point(|entry| entry.bytes.len() == depth);
        let (here, below) = entries.split_at(ends);
        filled.whole = self.push_ids(here, Fit::Whole);
        filled.start = self.push_ids(here, Fit::Start);
        filled.at_boundary = self.push_ids(here, Fit::StartAtBoundary);

        let groups: Vec<&[Entry]> = below
            .chunk_by(|a, b| a.bytes[depth] == b.bytes[depth])
            .collect();
        let firsts: Vec<u8> = groups.iter().map(|group| group[0].bytes[depth]).collect();
        filled.edges = push(&mut self.edges, &firsts);
        let first_child = self.nodes.len();
        filled.first_child = index(first_child);
        self.nodes
            .resize(first_child + groups.len(), Node::default());
        self.nodes[node] = filled;
        for (offset, group) in groups.into_iter().enumerate() {
            self.fill(first_child + offset, group, depth, depth + 1);
        }
    }

    fn push_ids(&mut self, entries: &[Entry], fit: Fit) -> Span {
        let ids: Vec<u32> = entries
            .iter()
            .filter(|entry| entry.fit == fit)
            .map(|entry| entry.id)
            .collect();
        push(&mut self.ids, &ids)
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    bytes: Vec<u8>,
    fit: Fit,
    id: u32,
}

fn reading_order(text: &str, direction: Direction, ignore_case: bool) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    if ignore_case {
        bytes.make_ascii_lowercase();
    }
    if direction == Direction::Backward {
        bytes.reverse();
    }
    bytes
}

/// How many bytes from `depth` on all entries share. They are sorted, so the first and the last decide.
fn common_length(entries: &[Entry], depth: usize) -> usize {
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
        return 0;
    };
    first.bytes[depth..]
        .iter()
        .zip(&last.bytes[depth..])
        .take_while(|(a, b)| a == b)
        .count()
}

fn push<T: Clone>(all: &mut Vec<T>, new: &[T]) -> Span {
    let start = index(all.len());
    all.extend_from_slice(new);
    Span {
        start,
        end: index(all.len()),
    }
}

fn index(position: usize) -> u32 {
    u32::try_from(position).expect("a config of 4 GiB does not fit into a plugin's memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(trie: &Trie, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        trie.find(text, |id| ids.push(id));
        ids.sort_unstable();
        ids
    }

    fn trie(
        direction: Direction,
        ignore_case: bool,
        boundary: u8,
        patterns: &[(&str, Fit)],
    ) -> Trie {
        let patterns: Vec<Pattern<'_>> = (0..)
            .zip(patterns)
            .map(|(id, (text, fit))| Pattern {
                text,
                fit: *fit,
                id,
            })
            .collect();
        Trie::new(direction, ignore_case, boundary, &patterns)
    }

    #[test]
    fn one_walk_finds_all_prefixes_boundaries_and_the_whole() {
        let paths = trie(
            Direction::Forward,
            false,
            b'/',
            &[
                ("/", Fit::Start),
                ("/app", Fit::Start),
                ("/app", Fit::StartAtBoundary),
                ("/app/x", Fit::Whole),
                ("/apple", Fit::Start),
                ("", Fit::StartAtBoundary),
                ("", Fit::Whole),
            ],
        );
        assert_eq!(found(&paths, "/app/x"), [0, 1, 2, 3, 5]);
        assert_eq!(found(&paths, "/app"), [0, 1, 2, 5]);
        assert_eq!(found(&paths, "/apple"), [0, 1, 4, 5]);
        assert_eq!(found(&paths, "/ap"), [0, 5]);
        assert_eq!(found(&paths, "/APP"), [0, 5]);
        assert_eq!(found(&paths, ""), [5, 6]);
        assert_eq!(found(&paths, "x"), [] as [u32; 0]);
    }

    #[test]
    fn backwards_it_finds_endings_and_domains() {
        let hosts = trie(
            Direction::Backward,
            false,
            b'.',
            &[
                (".example.com", Fit::Start),
                ("example.com", Fit::StartAtBoundary),
                ("com", Fit::Start),
            ],
        );
        assert_eq!(found(&hosts, "a.example.com"), [0, 1, 2]);
        assert_eq!(found(&hosts, "example.com"), [1, 2]);
        assert_eq!(found(&hosts, "evilexample.com"), [2]);
    }

    #[test]
    fn case_is_ignored_on_both_sides_if_asked_for() {
        let folded = trie(Direction::Forward, true, b'/', &[("/StaTic", Fit::Start)]);
        assert_eq!(found(&folded, "/sTATIC/x"), [0]);
        let backward = trie(Direction::Backward, true, b'.', &[(".PNG", Fit::Start)]);
        assert_eq!(found(&backward, "/a.pnG"), [0]);
    }

    #[test]
    fn an_empty_trie_finds_nothing() {
        assert_eq!(
            found(&trie(Direction::Forward, false, b'/', &[]), "/x"),
            [] as [u32; 0]
        );
    }

    #[test]
    fn text_that_is_not_ascii_is_compared_by_its_bytes() {
        let names = trie(
            Direction::Backward,
            true,
            b'/',
            &[("ü", Fit::Start), ("é", Fit::Whole)],
        );
        assert_eq!(found(&names, "xü"), [0]);
        assert_eq!(found(&names, "é"), [1]);
        assert_eq!(found(&names, "ý"), [] as [u32; 0]);
    }

    #[test]
    fn it_agrees_with_comparing_every_pattern() {
        // All texts over a small alphabet, so that every kind of overlap occurs.
        let mut texts = vec![String::new()];
        for length in 0..4 {
            for text in texts.clone().iter().filter(|text| text.len() == length) {
                texts.extend(["a", "b", "/"].map(|c| format!("{text}{c}")));
            }
        }
        let fits = [Fit::Whole, Fit::Start, Fit::StartAtBoundary];
        let patterns: Vec<(&str, Fit)> = texts
            .iter()
            .step_by(3)
            .flat_map(|text| fits.map(|fit| (text.as_str(), fit)))
            .collect();
        let all = trie(Direction::Forward, false, b'/', &patterns);
        for text in &texts {
            let expected: Vec<u32> = (0..)
                .zip(&patterns)
                .filter(|(_, (pattern, fit))| match fit {
                    Fit::Whole => text == pattern,
                    Fit::Start => text.starts_with(pattern),
                    Fit::StartAtBoundary => text
                        .strip_prefix(pattern)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
                })
                .map(|(id, _)| id)
                .collect();
            assert_eq!(found(&all, text), expected, "{text}");
        }
    }
}
