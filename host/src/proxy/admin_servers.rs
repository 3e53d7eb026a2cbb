//! Servers at the administrators' door: enable, drain, disable, weight, over HTTP.

use hyper::StatusCode;

use super::{
    admin::Admin,
    operate::{self, Change, HEAVIEST, NotFound, standing},
};
use crate::config::AdminState;

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
    let (found, server) = match operate::find(&generation, backend, name) {
        Ok(found) => found,
        Err(NotFound::Backend) => {
            return (
                StatusCode::NOT_FOUND,
                format!("there is no backend `{backend}`\n"),
            );
        }
        Err(NotFound::Server) => {
            let message = format!("backend `{backend}` has no server `{name}`\n");
            return (StatusCode::NOT_FOUND, message);
        }
    };
    match read_change(wish, query, server.weight) {
        Ok(change) => {
            operate::change(&admin.log, found, server, change);
            (
                StatusCode::OK,
                format!("{} {}\n", server.name, standing(server)),
            )
        }
        Err(why) => (StatusCode::BAD_REQUEST, why),
    }
}

fn read_change(wish: &str, query: Option<&str>, configured: u32) -> Result<Change, String> {
    match wish {
        "enable" => Ok(Change::State(AdminState::Ready)),
        "drain" => Ok(Change::State(AdminState::Drain)),
        "disable" => Ok(Change::State(AdminState::Maintenance)),
        "weight" => read_weight(query, configured).map(Change::Weight),
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
        Some(percent) => operate::part_of(configured, percent.parse().map_err(|_| HELP)?),
        None => value.parse().map_err(|_| HELP)?,
    };
    match weight <= HEAVIEST {
        true => Ok(Some(weight)),
        false => Err(HELP.to_owned()),
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
