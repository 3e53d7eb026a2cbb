//! Checks that HAProxy makes by knowing a protocol, as talks: what is sent, and what must come back.

use crate::{
    text::Line,
    weir::{Table, Value},
};

/// What becomes of `option smtpchk` and its like.
pub struct Talk {
    pub steps: Vec<Value>,
    /// What is different from HAProxy's.
    pub note: Option<&'static str>,
}

fn step(key: &str, text: impl Into<Value>) -> Value {
    Table::of(key, text).into()
}

impl Talk {
    fn of(steps: impl Into<Vec<Value>>) -> Self {
        Self {
            steps: steps.into(),
            note: None,
        }
    }
}

/// The talk that an option stands for; `None` if there is none.
pub fn talk(option: &str, line: &Line) -> Option<Talk> {
    let after = |name: &str| {
        let words = line.words.iter();
        let mut rest = words.skip_while(|word| word.text != name).skip(1);
        rest.next().map(|word| word.text.as_str())
    };
    match option {
        "redis-check" => Some(Talk::of([
            step("send", "*1\r\n$4\r\nPING\r\n"),
            step("expect", "+PONG\r\n"),
        ])),
        "smtpchk" => {
            let hello = match line.words.get(2..) {
                Some([kind, domain, ..]) if matches!(kind.text.as_str(), "HELO" | "EHLO") => {
                    format!("{} {}\r\n", kind.text, domain.text)
                }
                _ => "HELO localhost\r\n".to_owned(),
            };
            Some(Talk::of([
                step("expect", "220"),
                step("send", hello),
                step("expect", "250"),
                step("send", "QUIT\r\n"),
                step("expect", "221"),
            ]))
        }
        "ldap-check" => Some(Talk::of([
            // A bind as nobody, and that it succeeded.
            step("send_hex", "300c020101600702010304008000"),
            step("expect_hex", "0a0100"),
        ])),
        "pgsql-check" => {
            let user = after("user")?;
            Some(Talk::of([
                step("send_hex", hex(&startup(user))),
                // How a server asks for a password or lets somebody in; an error begins with an E.
                step("expect_hex", "52000000"),
            ]))
        }
        "mysql-check" => Some(match after("user") {
            // The greeting is packet 0 and begins with the version of the protocol.
            None => Talk::of([step("expect_hex", "0000000a")]),
            Some(user) => Talk {
                steps: vec![
                    step("expect_hex", "0000000a"),
                    step("send_hex", hex(&login(user))),
                    // Packet 2, and no error in it.
                    step("expect_hex", "00000200"),
                    step("send_hex", "0100000001"),
                ],
                note: line
                    .words
                    .iter()
                    .any(|word| word.text == "pre-41")
                    .then_some("the login is that of MySQL 4.1 and later"),
            },
        }),
        _ => None,
    }
}

/// PostgreSQL's first message, of version 3.0.
fn startup(user: &str) -> Vec<u8> {
    let mut body = vec![0, 3, 0, 0];
    body.extend_from_slice(b"user\0");
    body.extend_from_slice(user.as_bytes());
    body.extend_from_slice(b"\0\0");
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [length.to_be_bytes().as_slice(), &body].concat()
}

/// MySQL's answer to a greeting, of protocol 4.1, without a password.
fn login(user: &str) -> Vec<u8> {
    // Long passwords, protocol 4.1, authentication by challenge.
    let mut body = vec![0x01, 0x82, 0x00, 0x00];
    // The longest packet, and UTF-8.
    body.extend_from_slice(&[0x00, 0x00, 0x00, 0x01, 0x21]);
    body.extend_from_slice(&[0; 23]);
    body.extend_from_slice(user.as_bytes());
    body.extend_from_slice(&[0, 0]);
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
    [&length[..3], &[1], &body].concat()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_have_the_lengths_that_they_say() {
        assert_eq!(
            hex(&startup("u")),
            "0000001000030000757365720075000 0".replace(' ', "")
        );
        let login = login("ann");
        assert_eq!(usize::from(login[0]), login.len() - 4);
        assert_eq!(login[3], 1, "it answers packet 0");
    }
}
