//! Answers of plugins as stories show them.

use sha2::{Digest, Sha256};

use super::{AnswerShown, ReplyShown, Secrets};
use crate::model::{
    BackendName, ConnectionDecision, Decision, Edit, Found, Header, Verdict, words,
};

impl AnswerShown {
    pub fn verdict(verdict: String) -> Self {
        Self {
            verdict: Some(verdict),
            ..Self::default()
        }
    }

    /// A picked or remembered server; `""` is none.
    pub fn server(name: &str) -> Self {
        Self {
            server: Some(name.to_owned()),
            ..Self::default()
        }
    }
}

/// `backends` are those that the plugin named.
impl Secrets<'_> {
    pub fn decision(&self, decision: &Decision, backends: &[BackendName]) -> AnswerShown {
        let edits = self.edits(&decision.edits);
        let on_response = self.edits(&decision.response_edits);
        let (reply, masked) = match &decision.verdict {
            Verdict::Reply(reply) => {
                let (headers, masked) = self.headers(&reply.headers);
                let shown = ReplyShown {
                    headers,
                    bytes: reply.body.len() as u64,
                    digest: digest(&reply.body),
                };
                (Some(shown), masked)
            }
            Verdict::Pass | Verdict::UseBackend(_) | Verdict::Deny(_) => (None, false),
        };
        AnswerShown {
            edits: edits.edits,
            response_edits: on_response.edits,
            reply,
            masked: edits.masked || on_response.masked || masked,
            ..AnswerShown::verdict(words::verdict(&decision.verdict, backends))
        }
    }

    pub fn connection(
        &self,
        decision: &ConnectionDecision,
        backends: &[BackendName],
    ) -> AnswerShown {
        let vars: Vec<Edit> = decision.vars.iter().cloned().map(Edit::SetVar).collect();
        AnswerShown {
            verdict: Some(words::connection_verdict(decision.verdict, backends)),
            ..self.edits(&vars)
        }
    }

    /// `known` says that there is a server of that key. What names none may be anything that a client has sent.
    pub fn found(&self, found: &Found, known: bool) -> AnswerShown {
        let key = found.server.as_deref().unwrap_or_default();
        let (server, masked) = match known {
            true => (key.to_owned(), false),
            false => self.text(key),
        };
        let edits = self.edits(&found.edits);
        AnswerShown {
            server: Some(server),
            masked: masked || edits.masked,
            ..edits
        }
    }

    /// An answer that is nothing but edits.
    pub fn edits(&self, edits: &[Edit]) -> AnswerShown {
        let mut masked = false;
        let shown = edits.iter().map(|edit| {
            let text = words::edit(edit, |valued, value| {
                let (value, hidden) = self.valued(valued, value);
                masked |= hidden;
                value.into()
            });
            // A path, or a name, can have been made of a secret too.
            let (text, hidden) = self.text(&text);
            masked |= hidden;
            text
        });
        AnswerShown {
            edits: shown.collect(),
            masked,
            ..AnswerShown::default()
        }
    }

    fn headers(&self, headers: &[Header]) -> (Vec<String>, bool) {
        let mut masked = false;
        let shown = headers.iter().map(|Header { name, value }| {
            let (value, hidden) = self.header(name, value);
            masked |= hidden;
            format!("{name}: {value}")
        });
        (shown.collect(), masked)
    }
}

fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
