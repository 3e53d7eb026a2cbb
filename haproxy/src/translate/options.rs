//! `option …`: what each comes to. Those that shape a section are read where it is made; here is what
//! becomes of the line.

use crate::{nearest::nearest, problem::Problem, remark::Fate, text::Line};

use super::draft::{Draft, Mode, keyword};

/// Options whose fate does not depend on anything, with it.
fn settled(name: &str) -> Option<Fate> {
    Some(match name {
        // What Weir does in any case, or what makes no difference that anybody could see.
        "dontlognull"
        | "dontlog-normal"
        | "http-ignore-probes"
        | "httplog"
        | "http-keep-alive"
        | "redispatch"
        | "contstats"
        | "socket-stats"
        | "splice-auto"
        | "splice-request"
        | "splice-response"
        | "tcp-smart-accept"
        | "tcp-smart-connect"
        | "http-no-delay"
        | "http-use-htx"
        | "prefer-last-server"
        | "log-health-checks"
        | "tcpka"
        | "clitcpka"
        | "srvtcpka"
        | "httpchk"
        | "abortonclose"
        | "http-pretend-keepalive"
        | "http-tunnel" => Fate::Same,
        "tcp-check" | "mysql-check" | "pgsql-check" | "redis-check" | "smtpchk" | "ldap-check"
        | "ssl-hello-chk" | "spop-check" | "external-check" => Fate::Same,
        "http-server-close" => Fate::Same,
        "httpclose" | "forceclose" => {
            Fate::nearly("connections to servers are not kept; those to clients are")
        }
        "logasap" => Fate::nearly("lines are written when an exchange is over"),
        "log-separate-errors" => Fate::nearly("errors are logged at the level of all exchanges"),
        "http-buffer-request" => Fate::nearly("bodies pass through as they come"),
        "checkcache" => Fate::dropped("answers that could be cached by mistake are not blocked"),
        "persist" => Fate::dropped("a server that is down is not tried for the sake of a cookie"),
        "allbackups" => Fate::Same,
        "nolinger" => Fate::dropped("connections are closed in order"),
        "transparent" | "http_proxy" => {
            Fate::dropped("servers have the addresses that the file gives them")
        }
        "accept-invalid-http-request" | "accept-invalid-http-response" => {
            Fate::dropped("what can be read in two ways is refused")
        }
        "h1-case-adjust-bogus-client" | "h1-case-adjust-bogus-server" => {
            Fate::nearly("names of fields are passed on as they came")
        }
        "http-restrict-req-hdr-names" => Fate::Same,
        "independent-streams"
        | "disable-h2-upgrade"
        | "idle-close-on-response"
        | "http-use-proxy-header"
        | "tcp-smart-close" => Fate::nearly("it makes no difference here"),
        "tcplog" => Fate::nearly("lines are httplog's"),
        _ => return None,
    })
}

const OTHERS: [&str; 3] = ["forwardfor", "originalto", "clitcpka-cnt"];

/// What becomes of an `option` or `no option` line.
pub fn fate(draft: &Draft<'_>, line: &Line) -> Result<Fate, Problem> {
    let at = usize::from(matches!(keyword(line)[0], "no" | "default")) + 1;
    let Some(word) = line.words.get(at) else {
        return Err(Problem::new(line.words[0].place, "`option` without a name"));
    };
    let name = word.text.as_str();
    if at == 2 {
        return match settled(name).is_some() || OTHERS.contains(&name) {
            true => Ok(Fate::Same),
            false => Err(unknown(word)),
        };
    }
    match name {
        "forwardfor" | "originalto" => Ok(Fate::Same),
        // The last one counts; lines are httplog's anyway if none says so.
        "tcplog" if draft.mode == Mode::Tcp || draft.option("httplog").is_some() => Ok(Fate::Same),
        "httplog" if line.words.get(2).is_some_and(|word| word.text == "clf") => {
            Ok(Fate::nearly("lines are httplog's, not CLF"))
        }
        "redispatch" => match line.words.get(2).map(|word| word.text.as_str()) {
            None | Some("-1" | "1") => Ok(Fate::Same),
            Some(other) => Ok(Fate::nearly(format!(
                "the last retry may go to another server, not each {other}th"
            ))),
        },
        _ => settled(name).ok_or_else(|| unknown(word)),
    }
}

fn unknown(word: &crate::text::Word) -> Problem {
    const KNOWN: [&str; 24] = [
        "abortonclose",
        "dontlognull",
        "forwardfor",
        "http-keep-alive",
        "http-server-close",
        "httpchk",
        "httpclose",
        "httplog",
        "log-health-checks",
        "logasap",
        "mysql-check",
        "originalto",
        "persist",
        "pgsql-check",
        "redis-check",
        "redispatch",
        "smtpchk",
        "ssl-hello-chk",
        "tcp-check",
        "tcpka",
        "tcplog",
        "http-buffer-request",
        "contstats",
        "nolinger",
    ];
    let problem = Problem::new(word.place, format!("unknown option `{}`", word.text));
    match nearest(&word.text, KNOWN) {
        Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
        None => problem,
    }
}
