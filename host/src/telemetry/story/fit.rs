//! Keeping a story within its size: first long texts are shortened, then lists of servers go, then steps.

use super::{Step, Story};

impl Story {
    /// As JSON of at most `most` bytes. What had to be left out is marked.
    pub fn fitted(mut self, most: usize) -> Vec<u8> {
        let json = self.json();
        if json.len() <= most {
            return json;
        }
        self.cut = true;
        for longest in [most / 4, most / 16, 40] {
            self.shorten(longest);
            let json = self.json();
            if json.len() <= most {
                return json;
            }
            self.forget_servers();
        }
        loop {
            let json = self.json();
            if json.len() <= most || self.steps.is_empty() {
                return json;
            }
            self.steps.truncate(self.steps.len() / 2);
        }
    }

    fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a story has texts for keys")
    }

    fn shorten(&mut self, longest: usize) {
        if let Some(request) = &mut self.request {
            shorten(&mut request.target, longest);
            request.host.as_mut().map(|host| shorten(host, longest));
        }
        let error = &mut self.outcome.error;
        error.as_mut().map(|error| shorten(error, longest));
        for step in &mut self.steps {
            let asked = match step {
                Step::Asked(asked) => asked,
                Step::NoConnection { error, .. } => {
                    shorten(error, longest);
                    continue;
                }
                Step::Observed { .. } => continue,
            };
            for given in asked.inputs.iter_mut().flatten() {
                if let Some(value) = &mut given.value {
                    given.masked |= shorten(value, longest);
                }
            }
            let answer = &mut asked.answer;
            let headers = answer.reply.iter_mut().flat_map(|reply| &mut reply.headers);
            for text in answer
                .edits
                .iter_mut()
                .chain(&mut answer.response_edits)
                .chain(headers)
                .chain(&mut answer.server)
                .chain(&mut answer.failed)
            {
                answer.masked |= shorten(text, longest);
            }
        }
    }

    fn forget_servers(&mut self) {
        for step in &mut self.steps {
            if let Step::Asked(asked) = step
                && let Some(pick) = &mut asked.pick
            {
                pick.servers = None;
                pick.loads.clear();
            }
        }
    }
}

/// Whether anything was cut off.
fn shorten(text: &mut String, longest: usize) -> bool {
    if text.len() <= longest {
        return false;
    }
    let bytes = text.len();
    text.truncate(text.floor_char_boundary(longest.saturating_sub(24)));
    text.push_str(&format!("… ({bytes} bytes)"));
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::story::{
        AnswerShown, Asked, Given, Kept, OutcomeShown, PickAsked, ServerShown, Spoke,
    };

    fn story(steps: usize, value: &str) -> Story {
        let servers = (0..50).map(|id| ServerShown {
            name: format!("server-{id}"),
            id,
            weight: 1,
            limit: 0,
        });
        let asked = Asked {
            call: "pick".to_owned(),
            place: "backend.app.balance".to_owned(),
            plugin: "hash".to_owned(),
            digest: "sha256:0".to_owned(),
            at: None,
            took: None,
            from_memory: false,
            inputs: Some(vec![Given {
                input: "path".to_owned(),
                value: Some(value.to_owned()),
                masked: false,
            }]),
            rolls: Vec::new(),
            counters: None,
            assigned: None,
            pick: Some(PickAsked {
                servers: Some(servers.collect()),
                ..PickAsked::default()
            }),
            answer: AnswerShown::default(),
        };
        Story {
            id: "0".repeat(32),
            at: 0,
            kept: Kept::Failed,
            worker: 0,
            generation: 1,
            frontend: "web".to_owned(),
            spoken: Spoke::Http,
            connection: None,
            client: None,
            request: None,
            steps: vec![Step::Asked(Box::new(asked)); steps],
            outcome: OutcomeShown::default(),
            cut: false,
        }
    }

    fn read(json: &[u8]) -> Story {
        serde_json::from_slice(json).expect("what is written can be read")
    }

    #[test]
    fn a_small_story_is_kept_as_it_is() {
        let small = story(1, "/x");
        assert_eq!(read(&small.clone().fitted(16 << 10)), small);
    }

    #[test]
    fn a_story_is_never_larger_than_it_may_be_and_says_so() {
        for (steps, value) in [
            (1, "é".repeat(100_000)),
            (200, "/x".to_owned()),
            (3, "x".repeat(3_000)),
        ] {
            for most in [1 << 10, 4 << 10, 16 << 10] {
                let json = story(steps, &value).fitted(most);
                assert!(json.len() <= most, "{} of {most}", json.len());
                assert!(read(&json).cut);
            }
        }
    }

    #[test]
    fn a_value_that_was_cut_is_not_taken_for_the_whole() {
        let cut = read(&story(1, &"x".repeat(9_000)).fitted(8 << 10));
        let Step::Asked(asked) = &cut.steps[0] else {
            panic!("it was a call")
        };
        let given = &asked.inputs.as_ref().unwrap()[0];
        assert!(given.masked && given.value.as_ref().unwrap().ends_with("… (9000 bytes)"));
    }
}
