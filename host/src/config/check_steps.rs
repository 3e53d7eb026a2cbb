//! `steps` of a check: what is said to a server and what it must answer, one after the other.

use super::{
    read::Fields,
    value::{Node, shorten},
};

/// One step of a talk. HAProxy's `tcp-check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Send(Vec<u8>),
    /// These bytes occur in what comes.
    Expect(Vec<u8>),
}

pub(super) fn read_steps(node: &Node<'_>) -> Vec<Step> {
    let Some(items) = node.list("tables") else {
        return Vec::new();
    };
    if items.is_empty() {
        node.wrong("is empty", "for a connection alone write `tcp = true`");
    }
    let tables = items.iter().filter_map(|item| item.fields("steps"));
    tables.filter_map(read_step).collect()
}

fn read_step(mut fields: Fields<'_>) -> Option<Step> {
    let text = |node: Node<'_>| node.text("PING\\r\\n").map(|text| text.as_bytes().to_vec());
    let said = [
        fields.get("send").map(|node| text(node).map(Step::Send)),
        fields
            .get("send_hex")
            .map(|node| hex(&node).map(Step::Send)),
        fields
            .get("expect")
            .map(|node| text(node).map(Step::Expect)),
        fields
            .get("expect_hex")
            .map(|node| hex(&node).map(Step::Expect)),
    ];
    let mut said: Vec<Option<Step>> = said.into_iter().flatten().collect();
    if said.len() != 1 {
        fields.reader.error_with_hint(
            fields.span(),
            format!("{}a step does one thing", fields.context()),
            "write `{ send = \"…\" }`, `{ expect = \"…\" }`, or `send_hex`, `expect_hex` for bytes",
        );
    }
    fields.finish(&[]);
    said.pop().flatten()
}

fn hex(node: &Node<'_>) -> Option<Vec<u8>> {
    let text = node.plain_text("0d0a")?;
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    let others = text.chars().any(|c| !c.is_ascii_hexdigit() && c != ' ');
    if others || digits.is_empty() || !digits.len().is_multiple_of(2) {
        node.wrong(
            format!("is not bytes in hexadecimal: `{}`", shorten(text)),
            "write two digits for each byte: \"50 49 4e 47 0d 0a\"",
        );
        return None;
    }
    let bytes = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]);
    bytes.map(|byte| u8::try_from(byte).ok()).collect()
}
