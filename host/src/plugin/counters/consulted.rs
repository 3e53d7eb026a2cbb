//! What a plugin asked tables of counters within one call, and what it was told: kept where a call is recorded, and
//! given again where it is replayed.

/// A question, in the words of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// `add`, `read`, `falls-to`, `value`, `set-value` or `remove`.
    pub function: &'static str,
    pub table: String,
    /// Empty where a key as a whole is meant.
    pub counter: String,
    pub key: String,
    /// Of `add` what is added, of `falls-to` the most that it may be; else 0.
    pub number: u64,
    /// Of `set-value`; else empty.
    pub text: String,
}

/// An answer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// There is no such thing.
    Nothing,
    Number(u64),
    Text(String),
    /// Whether it was done.
    Done(bool),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consulted {
    pub question: Question,
    pub told: Told,
}

/// What was recorded of a call and not asked again yet.
#[derive(Debug, Default)]
pub(in crate::plugin) struct Prompter {
    left: Option<Vec<Consulted>>,
    unknown: u64,
}

impl Prompter {
    pub fn load(&mut self, recorded: Option<Vec<Consulted>>) {
        self.left = recorded;
    }

    /// What was told then: of equal questions the first that was not asked again yet.
    pub fn told(&mut self, question: &Question) -> Option<Told> {
        let left = self.left.as_mut()?;
        let found = left.iter().position(|it| it.question == *question);
        match found {
            Some(position) => Some(left.remove(position).told),
            None => {
                self.unknown += 1;
                None
            }
        }
    }

    /// Questions so far that were not in what was recorded.
    pub fn unknown(&self) -> u64 {
        self.unknown
    }
}

/// An answer as a function of the import gives it.
pub(super) trait Answer: Sized {
    fn told(&self) -> Told;

    /// None if it is of another kind.
    fn of(told: Told) -> Option<Self>;
}

impl Answer for Option<u64> {
    fn told(&self) -> Told {
        self.map_or(Told::Nothing, Told::Number)
    }

    fn of(told: Told) -> Option<Self> {
        match told {
            Told::Nothing => Some(None),
            Told::Number(number) => Some(Some(number)),
            Told::Text(_) | Told::Done(_) => None,
        }
    }
}

impl Answer for Option<String> {
    fn told(&self) -> Told {
        self.clone().map_or(Told::Nothing, Told::Text)
    }

    fn of(told: Told) -> Option<Self> {
        match told {
            Told::Nothing => Some(None),
            Told::Text(text) => Some(Some(text)),
            Told::Number(_) | Told::Done(_) => None,
        }
    }
}

impl Answer for bool {
    fn told(&self) -> Told {
        Told::Done(*self)
    }

    fn of(told: Told) -> Option<Self> {
        match told {
            Told::Done(done) => Some(done),
            Told::Nothing | Told::Number(_) | Told::Text(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(key: &str, told: u64) -> Consulted {
        let question = Question {
            function: "add",
            table: "clients".to_owned(),
            counter: "requests".to_owned(),
            key: key.to_owned(),
            number: 1,
            text: String::new(),
        };
        let told = Told::Number(told);
        Consulted { question, told }
    }

    #[test]
    fn each_question_is_answered_as_it_was_and_others_are_counted() {
        let mut prompter = Prompter::default();
        let question = asked("a", 0).question;
        assert_eq!(prompter.told(&question), None);
        assert_eq!(prompter.unknown(), 0, "nothing is replayed");
        prompter.load(Some(vec![asked("a", 7), asked("b", 1), asked("a", 8)]));
        assert_eq!(prompter.told(&question), Some(Told::Number(7)));
        assert_eq!(prompter.told(&question), Some(Told::Number(8)));
        assert_eq!(prompter.told(&question), None);
        assert_eq!(prompter.told(&asked("c", 0).question), None);
        assert_eq!(prompter.unknown(), 2);
    }
}
