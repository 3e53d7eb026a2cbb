//! What an administrator can do with a server: enable, drain, disable, weight.

use hyper::StatusCode;

use super::admin::Admin;
use crate::{
    backend::{Hindrance, Server},
    config::LogLevel,
};

/// Heaviest a server can be, as in the file.
const HEAVIEST: u32 = 256;

/// Does what `POST /servers/BACKEND/SERVER/WISH?QUERY` asks for; `path` is what follows `/servers/`. Answers
/// with what became of it.
pub fn manage(admin: &Admin, path: &str, query: Option<&str>) -> (StatusCode, String) {
    let parts: Vec<&str> = path.split('/').collect();
    let [backend, name, wish] = parts[..] else {
        return (
            StatusCode::NOT_FOUND,
            "write /servers/BACKEND/SERVER/ and one of enable, drain, disable, weight\n".to_owned(),
        );
    };
    let generation = admin.current.borrow();
    let Some(found) = generation
        .backends
        .iter()
        .find(|b| b.name.as_str() == backend)
    else {
        return (
            StatusCode::NOT_FOUND,
            format!("there is no backend `{backend}`\n"),
        );
    };
    let mut servers = found.servers.iter();
    let Some(server) = servers.find(|server| server.name.as_str() == name) else {
        let message = format!("backend `{backend}` has no server `{name}`\n");
        return (StatusCode::NOT_FOUND, message);
    };
    match carry_out(server, wish, query) {
        Ok(done) => {
            let text = format!("Server {backend}/{name} {done} by an administrator");
            admin.log.event(LogLevel::Notice, text);
            (
                StatusCode::OK,
                format!("{} {}\n", server.name, standing(server)),
            )
        }
        Err(why) => (StatusCode::BAD_REQUEST, why),
    }
}

fn carry_out(server: &Server, wish: &str, query: Option<&str>) -> Result<String, String> {
    let state = &server.state;
    let set = |maintenance, drain| {
        state.set(Hindrance::Drain, drain);
        state.set(Hindrance::Maintenance, maintenance);
    };
    match wish {
        "enable" => {
            set(false, false);
            Ok("is enabled".to_owned())
        }
        "drain" => {
            set(false, true);
            Ok("drains".to_owned())
        }
        "disable" => {
            set(true, false);
            Ok("is disabled".to_owned())
        }
        "weight" => {
            let weight = read_weight(query, server.weight)?;
            state.set_weight(weight);
            Ok(format!("has weight {}", state.weight(server.weight)))
        }
        _ => Err("there are enable, drain, disable and weight\n".to_owned()),
    }
}

/// `value=10`, `value=50%` of what the file says, or `value=initial` for that.
fn read_weight(query: Option<&str>, configured: u32) -> Result<Option<u32>, String> {
    const HELP: &str = "write ?value=10 (0 to 256), ?value=50% of the file's, or ?value=initial\n";
    let value = query.and_then(|query| query.strip_prefix("value="));
    let value = value.ok_or(HELP)?;
    if value == "initial" {
        return Ok(None);
    }
    // Some clients write the percent sign as the standard wants it.
    let percent = value.strip_suffix("%25").or(value.strip_suffix('%'));
    let weight = match percent {
        Some(percent) => {
            let percent: u32 = percent.parse().map_err(|_| HELP)?;
            configured.saturating_mul(percent) / 100
        }
        None => value.parse().map_err(|_| HELP)?,
    };
    match weight <= HEAVIEST {
        true => Ok(Some(weight)),
        false => Err(HELP.to_owned()),
    }
}

/// How a server stands, in a word: what weighs most.
pub fn standing(server: &Server) -> &'static str {
    let names = [
        (Hindrance::Maintenance, "maintenance"),
        (Hindrance::AgentMaintenance, "maintenance"),
        (Hindrance::Unresolved, "unresolved"),
        (Hindrance::Unhealthy, "down"),
        (Hindrance::AgentDown, "down"),
        (Hindrance::Drain, "drain"),
        (Hindrance::AgentDrain, "drain"),
    ];
    let mut found = names
        .iter()
        .filter(|(hindrance, _)| server.state.has(*hindrance));
    match found.next() {
        Some((_, name)) => name,
        None if server.state.is_cold() => "starting",
        None => "up",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_numbers_or_parts_of_the_files() {
        let read = |query| read_weight(Some(query), 10);
        assert_eq!(read("value=7"), Ok(Some(7)));
        assert_eq!(read("value=50%"), Ok(Some(5)));
        assert_eq!(read("value=50%25"), Ok(Some(5)));
        assert_eq!(read("value=initial"), Ok(None));
        for wrong in ["value=", "value=257", "value=-1", "weight=3", "value=9999%"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(read_weight(None, 1).is_err());
    }
}
