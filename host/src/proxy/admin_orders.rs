//! Orders about versions of plugins at the administrators' door: a try begins, takes the place of what is used,
//! or ends. Each makes a new generation, so the answer comes when that serves, or says why it does not.

use http_body_util::{BodyExt, Limited};
use hyper::{Request, StatusCode, body::Incoming};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tracing::info;

use super::{
    admin::{Admin, Answer, ReloadWish, json_answer, text},
    orders::{Order, Wish, uses},
};
use crate::{
    config::{PluginUse, read_order},
    frontend::Generation,
    telemetry::PluginPlace,
};

/// Longest text of a `next`.
const MOST_BYTES: usize = 1 << 20;

/// Asks for an order to be carried out; the answer is as for a reload.
pub struct OrderWish {
    pub order: Order,
    pub tell: ReloadWish,
}

/// Where orders are taken.
pub type OrderDesk = mpsc::UnboundedSender<OrderWish>;

/// What can be ordered, as it stands in `POST /rollouts/USE/…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Next,
    Promote,
    Return,
    Reset,
}

impl Kind {
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "next" => Some(Self::Next),
            "promote" => Some(Self::Promote),
            "return" => Some(Self::Return),
            "reset" => Some(Self::Reset),
            _ => None,
        }
    }
}

/// Carries out what was ordered of the use that is called `place`.
pub async fn serve(admin: &Admin, place: &str, kind: Kind, request: Request<Incoming>) -> Answer {
    let body = Limited::new(request.into_body(), MOST_BYTES)
        .collect()
        .await;
    let body = body.ok().map(|body| Vec::from(body.to_bytes()));
    let Some(body) = body.and_then(|body| String::from_utf8(body).ok()) else {
        return text(
            StatusCode::BAD_REQUEST,
            "what is to be tried out is said in TOML, in UTF-8 and at most 1 MiB\n",
        );
    };
    let (place, wish) = match read(admin, place, kind, &body) {
        Ok(read) => read,
        Err(answer) => return *answer,
    };
    let before = shown(&admin.current.borrow(), &place);
    let (tell, done) = oneshot::channel();
    let order = Order {
        place: place.clone(),
        wish,
    };
    let asked = admin.orders_desk.send(OrderWish { order, tell });
    match (asked, done.await) {
        (Ok(()), Ok(Ok(generation))) => {
            let after = shown(&admin.current.borrow(), &place);
            if before != after {
                info!(
                    "use" = %place,
                    was = %before["digest"].as_str().unwrap_or_default(),
                    now = %after["digest"].as_str().unwrap_or_default(),
                    "an administrator has changed which version is used"
                );
            }
            json_answer(&json!({
                "use": place.to_string(),
                "generation": generation,
                "before": before,
                "now": after,
                "as_file": admin.orders.borrow().at(&place).is_none(),
            }))
        }
        (Ok(()), Ok(Err(why))) => text(StatusCode::CONFLICT, format!("{why}\n")),
        (Err(_), _) | (_, Err(_)) => {
            text(StatusCode::SERVICE_UNAVAILABLE, "the proxy is stopping\n")
        }
    }
}

fn read(
    admin: &Admin,
    place: &str,
    kind: Kind,
    body: &str,
) -> Result<(PluginPlace, Wish), Box<Answer>> {
    let config = admin.config.borrow();
    let (place, used) =
        find(&config, place).map_err(|said| Box::new(text(StatusCode::NOT_FOUND, said)))?;
    let wish = match kind {
        Kind::Next => {
            let next = read_order(body, used, &config);
            let next = next
                .map_err(|errors| Box::new(text(StatusCode::BAD_REQUEST, format!("{errors}\n"))))?;
            Wish::Try(Box::new(next))
        }
        Kind::Promote => Wish::Promote,
        Kind::Return => Wish::Return,
        Kind::Reset => Wish::Reset,
    };
    Ok((place, wish))
}

/// The use of that name, or what to say if there is none.
fn find<'c>(
    config: &'c crate::config::Config,
    name: &str,
) -> Result<(PluginPlace, &'c PluginUse), String> {
    if let Some(found) = uses(config).find(|(place, _)| place.is_called(name)) {
        return Ok(found);
    }
    let mut said = format!("no plugin is used at `{name}`\n");
    for (place, used) in uses(config) {
        said.push_str(&format!("there is {place}, {}\n", used.source_text()));
    }
    Err(said)
}

/// The version that is used at a place.
fn shown(generation: &Generation, place: &PluginPlace) -> Value {
    let used = generation.uses().find(|used| used.place == *place);
    used.map_or(Value::Null, |used| {
        json!({
            "plugin": used.plugin.name().as_str(),
            "version": used.plugin.info().version,
            "digest": used.plugin.digest().to_string(),
        })
    })
}

/// What was ordered and holds, for the list of tries.
pub fn ordered(admin: &Admin) -> Value {
    let orders = admin.orders.borrow();
    let shown = |used: &PluginUse| {
        json!({
            "plugin": used.source_text(),
            "next": used.next.as_ref().map(|next| next.used.source_text()),
        })
    };
    let all = orders.iter().map(|ordered| {
        json!({
            "use": ordered.place.to_string(),
            "file": shown(&ordered.of_file),
            "now": shown(&ordered.now),
        })
    });
    Value::Array(all.collect())
}

/// Every use of a plugin, for those who look for its name.
pub fn all_uses(generation: &Generation) -> Value {
    let all = generation.uses().map(|used| {
        json!({
            "use": used.place.to_string(),
            "plugin": used.plugin.name().as_str(),
            "version": used.plugin.info().version,
            "digest": used.plugin.digest().to_string(),
        })
    });
    Value::Array(all.collect())
}
