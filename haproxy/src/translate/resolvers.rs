//! `resolvers` sections: who is asked for the addresses of names.

use std::net::{IpAddr, SocketAddr};

use crate::{
    file::Section,
    problem::Problem,
    remark::Fate,
    text::{self, Line},
    weir::{Table, Value},
};

use super::{
    Translator,
    draft::keyword,
    server::only_number,
    words::{Words, wrong},
};

impl Translator<'_> {
    pub(super) fn resolvers(&mut self, section: &Section) {
        let mut table = Table::of("name", section.name.as_str());
        let mut nameservers = Vec::new();
        for line in &section.directives {
            let fate = directive(line, &mut table, &mut nameservers);
            self.settle(line, fate);
        }
        if !nameservers.is_empty() {
            table.set("nameservers", nameservers);
        }
        if self.may_lack_addresses(&section.name) {
            table.set("must_resolve", false);
        }
        self.weir.resolvers.push(table);
    }

    /// Whether a server of this resolver begins without an address if there is none: `init-addr …,none`.
    fn may_lack_addresses(&self, resolver: &str) -> bool {
        let lines = self
            .file
            .sections
            .iter()
            .flat_map(|section| &section.directives);
        let mut servers = lines.filter(|line| keyword(line)[0].contains("server"));
        servers.any(|line| {
            let words: Vec<&str> = line.words.iter().map(|word| word.text.as_str()).collect();
            let after = |name: &str| {
                words
                    .windows(2)
                    .find(|pair| pair[0] == name)
                    .map(|pair| pair[1])
            };
            after("resolvers") == Some(resolver)
                && after("init-addr").is_some_and(|how| how.ends_with("none"))
        })
    }
}

fn directive(
    line: &Line,
    table: &mut Table,
    nameservers: &mut Vec<Value>,
) -> Result<Fate, Problem> {
    let mut words = Words::of(line);
    Ok(match keyword(line) {
        ["nameserver", _, address] => {
            let address = address
                .trim_start_matches("udp@")
                .trim_start_matches("tcp@");
            if address.parse::<SocketAddr>().is_err() && address.parse::<IpAddr>().is_err() {
                let word = &line.words[2.min(line.words.len() - 1)];
                return Err(wrong(
                    word,
                    "a nameserver has a name, an address and a port",
                ));
            }
            nameservers.push(address.trim_end_matches(":53").into());
            Fate::Same
        }
        ["parse-resolv-conf", ..] | ["accepted_payload_size", ..] => Fate::Same,
        ["resolve_retries", ..] => {
            table.set("attempts", only_number(line, 0, 10)?);
            Fate::Same
        }
        ["timeout", kind @ ("resolve" | "retry"), _] => {
            words.need("a kind")?;
            let key = if kind == "resolve" {
                "min_interval"
            } else {
                "timeout"
            };
            table.set(key, words.time()?.to_string());
            Fate::Same
        }
        ["hold", "nx", time] => {
            let time = text::duration(time, "ms").map_err(|what| wrong(&line.words[0], what))?;
            table.set("hold", time.to_string());
            Fate::Same
        }
        ["hold", ..] => Fate::nearly("addresses are kept as long as nobody denies them"),
        [other, ..] => {
            let message = format!("unknown keyword `{other}` in `resolvers`");
            return Err(wrong(&line.words[0], message));
        }
    })
}
