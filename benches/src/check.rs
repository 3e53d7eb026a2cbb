//! Does the proxy do what the case says? A fast wrong answer is no result.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context, Result, ensure};

use crate::{
    case::Case,
    hold::Clients,
    http::{Answer, ask, authorization},
    model::{Balance, Model},
};

/// Asks the proxy at the model's port; the first thing it does otherwise is the error.
pub fn run(case: &Case, model: &Model) -> Result<()> {
    if let Some(certificate) = &model.cert {
        return over_tls(case, model, Path::new(certificate));
    }
    if model.users.is_empty() {
        for path in case.paths().iter().take(3) {
            servers(model, path)?;
        }
    } else {
        users(model)?;
    }
    if let Some(cookie) = &model.cookie {
        for path in case.paths() {
            sticks(model, cookie, &path)?;
        }
    }
    if model.xff {
        let answer = get(model, "/?echo", "")?;
        let echo = String::from_utf8_lossy(&answer.body).to_ascii_lowercase();
        ensure!(
            echo.contains("\r\nx-forwarded-for: 127.0.0.1\r\n"),
            "no X-Forwarded-For reaches the server"
        );
    }
    Ok(())
}

/// A client that trusts the certificate is answered.
fn over_tls(case: &Case, model: &Model, certificate: &Path) -> Result<()> {
    let clients = Clients::new(Some(certificate))?;
    let to = model.listen.address()?;
    for request in case.requests(model).iter().take(3) {
        clients.ask(to, request).context("over TLS")?;
    }
    Ok(())
}

/// Requests reach the servers of the right backend, and all of them where turns are taken.
fn servers(model: &Model, path: &str) -> Result<()> {
    let backend = model.backend_for(path);
    let wanted: BTreeSet<usize> = backend.servers.iter().map(|server| server.idx).collect();
    let mut seen = BTreeSet::new();
    for _ in 0..(4 * wanted.len()).min(24) {
        seen.insert(origin(&get(model, path, "")?)?);
    }
    ensure!(
        seen.is_subset(&wanted),
        "{path}: servers {seen:?} answer, not only those of {}",
        backend.name
    );
    match backend.balance {
        Balance::Hash => ensure!(
            seen.len() == 1,
            "{path}: {} servers share one key",
            seen.len()
        ),
        Balance::RoundRobin | Balance::LeastConn if wanted.len() <= 3 => {
            ensure!(seen == wanted, "{path}: only servers {seen:?} get requests");
        }
        Balance::RoundRobin | Balance::LeastConn => {
            ensure!(seen.len() > 10, "{path}: few servers get requests")
        }
    }
    Ok(())
}

fn users(model: &Model) -> Result<()> {
    ensure!(
        get(model, "/", "")?.status == 401,
        "nobody is asked for credentials"
    );
    ensure!(
        get(model, "/", &authorization("user00", "wrong"))?.status == 401,
        "a wrong password passes"
    );
    for (name, password, group) in model.users.iter().take(8) {
        let servers = &model.backend(&model.groups[group]).servers;
        let origin = origin(&get(model, "/", &authorization(name, password))?)?;
        ensure!(
            servers.iter().any(|server| server.idx == origin),
            "{name} of {group} reaches server {origin}"
        );
    }
    Ok(())
}

/// The first answer sets the cookie; a client that has it stays, and the server does not see it.
fn sticks(model: &Model, cookie: &str, path: &str) -> Result<()> {
    let first = get(model, path, "Cookie: a=1\r\n")?;
    let set = first
        .header("set-cookie")
        .with_context(|| format!("{path}: no cookie is set"))?;
    let pair = set.split(';').next().unwrap_or_default();
    ensure!(
        pair.starts_with(&format!("{cookie}=")),
        "{path}: the cookie set is {set}"
    );
    for _ in 0..4 {
        let again = get(model, path, &format!("Cookie: a=1; {pair}\r\n"))?;
        ensure!(
            origin(&again)? == origin(&first)?,
            "{path}: a client with a cookie does not stay"
        );
        ensure!(
            again.header("set-cookie").is_none(),
            "{path}: the cookie is set again"
        );
    }
    let bare = path.split('?').next().unwrap_or_default();
    let echo = get(
        model,
        &format!("{bare}?echo"),
        &format!("Cookie: a=1; {pair}; b=2\r\n"),
    )?;
    let echo = String::from_utf8_lossy(&echo.body);
    ensure!(
        echo.contains("a=1") && echo.contains("b=2"),
        "{path}: other cookies do not reach the server"
    );
    ensure!(!echo.contains(pair), "{path}: the server sees the cookie");
    Ok(())
}

fn get(model: &Model, target: &str, fields: &str) -> Result<Answer> {
    ask(model.listen.port, "GET", target, fields).with_context(|| format!("GET {target}"))
}

fn origin(answer: &Answer) -> Result<usize> {
    ensure!(
        answer.status == 200,
        "status {} instead of an answer by a server",
        answer.status
    );
    answer.origin().context("the answer came from no server")
}
