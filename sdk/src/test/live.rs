//! Facts of the moment, as a test says they are.

/// The kinds that the contract has.
const KINDS: [&str; 9] = [
    "usable-servers",
    "backend-exchanges",
    "backend-queued",
    "backend-queued-per-server",
    "backend-free-places",
    "server-up",
    "server-exchanges",
    "server-queued",
    "frontend-connections",
];

/// Facts by their names in the contract.
#[derive(Debug, Clone, Default)]
pub(super) struct Live(Vec<(String, String)>);

impl Live {
    /// Panics if the contract has no such fact of the moment.
    pub fn set(&mut self, input: &str, value: &str) {
        assert!(
            is_live(input),
            "the contract has no fact of the moment `{input}`"
        );
        self.0.push((input.to_owned(), value.to_owned()));
    }

    /// What the test said of that fact; `None` in the outer sense if it is no fact of the moment.
    pub fn fact(&self, input: &str) -> Option<Option<String>> {
        let said = self.0.iter().rev().find(|(known, _)| known == input);
        is_live(input).then(|| said.map(|(_, value)| value.clone()))
    }
}

fn is_live(input: &str) -> bool {
    let (kind, _) = input.split_once('(').unwrap_or((input, ""));
    KINDS.contains(&kind)
}
