//! Statistics at the administrators' door: a page for people and the same as lines for programs.

use std::fmt::Write;

use hyper::{
    StatusCode,
    header::{self, HeaderValue},
};

use super::{
    admin::{Admin, Answer, text},
    stats::{self, Kind, Row},
};

/// Column and heading, in groups as HAProxy's page has them.
const SHOWN: [(&str, &str); 20] = [
    ("svname", "Name"),
    ("status", "Status"),
    ("lastchg", "Since"),
    ("check_status", "Check"),
    ("weight", "Weight"),
    ("qcur", "Queue"),
    ("scur", "Current"),
    ("slim", "Limit"),
    ("stot", "Sessions"),
    ("req_tot", "Requests"),
    ("bin", "Bytes in"),
    ("bout", "Bytes out"),
    ("dreq", "Denied"),
    ("ereq", "Bad requests"),
    ("econ", "No connection"),
    ("eresp", "Bad answers"),
    ("wretr", "Retries"),
    ("wredis", "Redispatches"),
    ("chkdown", "Downs"),
    ("downtime", "Downtime"),
];

const STYLE: &str = "body{font:14px sans-serif;margin:1.5em}table{border-collapse:collapse;margin-bottom:1.5em}\
    caption{text-align:left;font-weight:bold;padding:.3em 0}td,th{border:1px solid #ccc;padding:.2em .5em;\
    text-align:right}td:first-child,th:first-child{text-align:left}th{background:#eee}.up{background:#d8f0d0}\
    .down{background:#f6c8c8}.maint{background:#e8d8b8}.drain{background:#d0e0f8}.total{font-weight:bold}";

/// All figures as HAProxy's `;csv` has them.
pub fn csv(admin: &Admin) -> Answer {
    let rows = stats::rows(admin);
    text(StatusCode::OK, stats::csv(rows.iter()))
}

/// A page with a table for each frontend and backend. `refresh=5` in the query makes browsers load it anew.
pub fn page(admin: &Admin, query: Option<&str>) -> Answer {
    let refresh = query.and_then(|query| query.strip_prefix("refresh="));
    let refresh: Option<u16> = refresh.and_then(|seconds| seconds.parse().ok());
    let mut answer = text(StatusCode::OK, html(admin));
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Some(seconds) = refresh.filter(|seconds| *seconds > 0) {
        headers.insert("refresh", HeaderValue::from(seconds));
    }
    answer
}

fn html(admin: &Admin) -> String {
    let generation = admin.current.borrow().number;
    let rows = stats::rows(admin);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><title>Weir statistics</title><style>{STYLE}</style></head>\n\
         <body><h1>Weir {}</h1>\n<p>Process {}, generation {generation}, up for {} s; {} connections. \
         <a href=\"stats;csv\">CSV</a></p>\n",
        env!("CARGO_PKG_VERSION"),
        std::process::id(),
        admin.started.elapsed().as_secs(),
        admin.process.connections.count(),
    );
    for rows in rows.chunk_by(|one, other| one.id == other.id) {
        table(&mut out, rows);
    }
    out.push_str("</body></html>\n");
    out
}

fn table(out: &mut String, rows: &[Row]) {
    let name = rows.first().map_or("", |row| row.get("pxname"));
    // Writing to a string cannot fail.
    let _ = write!(out, "<table><caption>{}</caption><tr>", escaped(name));
    for (_, heading) in SHOWN {
        let _ = write!(out, "<th>{heading}</th>");
    }
    out.push_str("</tr>\n");
    for row in rows {
        let total = if row.kind == Kind::Server {
            ""
        } else {
            " total"
        };
        let _ = write!(out, "<tr class=\"{}{total}\">", class(row));
        for (column, _) in SHOWN {
            let value = escaped(row.get(column));
            let title = match column {
                "check_status" => {
                    let said = [row.get("check_desc"), row.get("last_chk")].map(escaped);
                    format!(" title=\"{} {}\"", said[0], said[1])
                }
                _ => String::new(),
            };
            let _ = write!(out, "<td{title}>{value}</td>");
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table>\n");
}

fn class(row: &Row) -> &'static str {
    let status = row.get("status");
    if status.starts_with("MAINT") {
        "maint"
    } else if status.starts_with("DRAIN") {
        "drain"
    } else if status.starts_with("DOWN") || status == "STOP" {
        "down"
    } else {
        "up"
    }
}

/// Fit for a page, since what servers say of themselves is shown there.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_say_is_no_markup() {
        assert_eq!(
            escaped("<script>\"a\" & 'b'"),
            "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;"
        );
    }

    #[test]
    fn what_is_shown_are_columns() {
        for (column, _) in SHOWN {
            assert!(stats::columns().any(|known| known == column), "{column}");
        }
    }
}
