//! Answers that a plugin has given before, for plugins that answer alike whenever they are asked alike.
//!
//! A table of fixed size: each question has one slot. An answer is kept once its question has come
//! twice in a row there, so that questions which come once do not push out those that come often.
//! Knows nothing of plugins.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::model::{Decision, Edit, Found, Header, Verdict};

const SLOTS: usize = 256;
/// Longer questions and answers are not kept, which bounds the table to a few hundred KiB.
const QUESTION_BYTES: usize = 512;
const ANSWER_BYTES: usize = 1024;

/// What a plugin is asked: the values of its inputs, in one piece.
#[derive(Debug)]
pub struct Question {
    bytes: SmallVec<[u8; 64]>,
    hash: u64,
}

/// Answers by question. `None` of the questions were asked of another plugin.
#[derive(Debug)]
pub struct Recall<T> {
    /// Made with the first answer; most plugins have none to keep.
    slots: Vec<Slot<T>>,
    /// Of whatever else the answers depend on.
    version: u64,
}

#[derive(Debug)]
struct Slot<T> {
    kept: Option<(Question, Arc<T>)>,
    /// The last question that was not the one kept.
    seen: u64,
}

/// How much memory an answer holds on to, more or less.
pub trait Weight {
    fn bytes(&self) -> usize;
}

impl Question {
    /// `None` if it is too long to be kept.
    pub fn of<'a>(values: impl Iterator<Item = Option<&'a str>>) -> Option<Self> {
        let mut bytes = SmallVec::new();
        for value in values {
            // Lengths come first, so that no two lists of values look the same.
            let length = value.map_or(u32::MAX, |value| value.len() as u32);
            let text = value.unwrap_or_default();
            if bytes.len() + size_of_val(&length) + text.len() > QUESTION_BYTES {
                return None;
            }
            bytes.extend_from_slice(&length.to_ne_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        let hash = hash(&bytes);
        Some(Self { bytes, hash })
    }

    fn is(&self, other: &Self) -> bool {
        self.hash == other.hash && self.bytes == other.bytes
    }
}

/// Spreads questions over slots. Whoever makes them collide makes the plugin be called, no more.
fn hash(bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| (hash.rotate_left(26) ^ word).wrapping_mul(FACTOR);
    let (words, rest) = bytes.as_chunks();
    let hash = words.iter().fold(bytes.len() as u64, |hash, word| {
        mix(hash, u64::from_ne_bytes(*word))
    });
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(hash, u64::from_ne_bytes(last))
}

impl<T> Default for Recall<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            version: 0,
        }
    }
}

impl<T: Weight> Recall<T> {
    /// The answer to `question`, if it is known and given under the same `version`.
    pub fn get(&mut self, question: &Question, version: u64) -> Option<Arc<T>> {
        if self.version != version {
            self.slots.clear();
            self.version = version;
        }
        let slot = self.slots.get(slot_of(question))?;
        let (kept, answer) = slot.kept.as_ref()?;
        kept.is(question).then(|| Arc::clone(answer))
    }

    /// Takes note of an answer that had to be asked for. `version` is from before it was asked.
    pub fn put(&mut self, question: Question, answer: &Arc<T>, version: u64) {
        if self.version != version || answer.bytes() > ANSWER_BYTES {
            return;
        }
        if self.slots.is_empty() {
            self.slots.resize_with(SLOTS, Slot::empty);
        }
        let slot = &mut self.slots[slot_of(&question)];
        if slot.seen == question.hash {
            slot.kept = Some((question, Arc::clone(answer)));
        } else {
            slot.seen = question.hash;
        }
    }
}

/// By the highest bits, which each byte of the question has a part in.
fn slot_of(question: &Question) -> usize {
    (question.hash >> (u64::BITS - SLOTS.ilog2())) as usize
}

impl<T> Slot<T> {
    fn empty() -> Self {
        Self {
            kept: None,
            seen: 0,
        }
    }
}

impl Weight for Decision {
    fn bytes(&self) -> usize {
        let verdict = match &self.verdict {
            Verdict::Pass | Verdict::UseBackend(_) | Verdict::Deny(_) => 0,
            Verdict::Reply(reply) => {
                reply.body.len() + reply.headers.iter().map(Weight::bytes).sum::<usize>()
            }
        };
        verdict + self.edits.bytes() + self.response_edits.bytes()
    }
}

impl Weight for Found {
    fn bytes(&self) -> usize {
        self.server.as_ref().map_or(0, String::len) + self.edits.bytes()
    }
}

impl Weight for Vec<Edit> {
    fn bytes(&self) -> usize {
        self.iter().map(Weight::bytes).sum()
    }
}

impl Weight for Edit {
    fn bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::SetHeader(header)
                | Self::AddHeader(header)
                | Self::SetCookieValue(header)
                | Self::SetVar(header) => header.bytes(),
                Self::RemoveHeader(text)
                | Self::SetPath(text)
                | Self::SetQuery(text)
                | Self::SetMethod(text)
                | Self::RemoveCookie(text) => text.len(),
                Self::SetStatus(_) => 0,
            }
    }
}

impl Weight for Header {
    fn bytes(&self) -> usize {
        self.name.len() + self.value.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(values: &[Option<&str>]) -> Question {
        Question::of(values.iter().copied()).expect("the question is short")
    }

    fn found(server: &str) -> Arc<Found> {
        Arc::new(Found {
            server: Some(server.to_owned()),
            edits: Vec::new(),
        })
    }

    fn put(recall: &mut Recall<Found>, value: &str, server: &str) {
        recall.put(question(&[Some(value)]), &found(server), 0);
    }

    fn get(recall: &mut Recall<Found>, value: &str) -> Option<String> {
        recall.get(&question(&[Some(value)]), 0)?.server.clone()
    }

    #[test]
    fn an_answer_is_known_once_its_question_came_twice() {
        let mut recall = Recall::default();
        assert_eq!(get(&mut recall, "a"), None);
        put(&mut recall, "a", "one");
        assert_eq!(get(&mut recall, "a"), None);
        put(&mut recall, "a", "one");
        assert_eq!(get(&mut recall, "a").as_deref(), Some("one"));
        assert_eq!(get(&mut recall, "b"), None);
    }

    #[test]
    fn questions_that_come_once_leave_what_is_known() {
        let mut recall = Recall::default();
        for _ in 0..2 {
            put(&mut recall, "often", "one");
        }
        for once in 0..10 * SLOTS {
            put(&mut recall, &format!("once {once}"), "two");
        }
        assert_eq!(get(&mut recall, "often").as_deref(), Some("one"));
    }

    #[test]
    fn short_questions_that_differ_little_do_not_push_each_other_out() {
        let names: Vec<String> = (0..10).map(|number| format!("s{number}")).collect();
        for pair in names.windows(2) {
            let slots = [&pair[0], &pair[1]].map(|name| slot_of(&question(&[Some(name)])));
            assert_ne!(slots[0], slots[1], "{pair:?}");
        }
    }

    #[test]
    fn lists_of_values_that_join_to_the_same_text_are_told_apart() {
        let lists: [&[Option<&str>]; 6] = [
            &[Some("ab"), Some("c")],
            &[Some("a"), Some("bc")],
            &[Some("abc")],
            &[Some("abc"), None],
            &[None, Some("abc")],
            &[Some("abc"), Some("")],
        ];
        for (position, list) in lists.iter().enumerate() {
            for other in &lists[position + 1..] {
                assert!(!question(list).is(&question(other)), "{list:?} {other:?}");
            }
        }
    }

    #[test]
    fn another_version_makes_all_answers_forgotten() {
        let mut recall = Recall::default();
        for _ in 0..2 {
            put(&mut recall, "a", "one");
        }
        let asked = question(&[Some("a")]);
        assert!(recall.get(&asked, 1).is_none());
        assert!(recall.get(&asked, 1).is_none());
        // An answer from before the change comes too late.
        for _ in 0..2 {
            put(&mut recall, "a", "one");
        }
        assert!(recall.get(&asked, 1).is_none());
    }

    #[test]
    fn what_is_large_is_not_kept() {
        assert!(Question::of([Some("x".repeat(600).as_str())].into_iter()).is_none());
        let mut recall = Recall::default();
        for _ in 0..3 {
            put(&mut recall, "a", &"x".repeat(2_000));
        }
        assert_eq!(get(&mut recall, "a"), None);
    }
}
