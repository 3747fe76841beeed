//! Evaluates cases of conditions, subjects, templates and paths, to compare engines: one JSON object per line in, one
//! result per line out. `evaluate measure` prints instead what the checks and extracts of a small response cost.

#[path = "../tests/integration/user.rs"]
mod user;

use std::io::{self, BufRead, Write};
use std::time::Instant;

use loadgen::plan::{Part, program};
use loadgen::scenario::path::Path;
use loadgen::scenario::{Answer, Condition, Extract, Seen, Shown, Subject, render, value};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use user::{Response, User, UserScope};

#[derive(Deserialize)]
struct Case {
    scope: User,
    answer: Response,
    #[serde(flatten)]
    task: Task,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Task {
    Condition(program::Condition),
    Subject(program::Subject),
    Template(Vec<Part>),
    /// On the body.
    Path(String),
}

fn result(case: Case) -> Result<Json, String> {
    let scope = UserScope::new(case.scope);
    let raw = case.answer.raw();
    let answer = case.answer.answer(&raw);
    Ok(match case.task {
        Task::Condition(condition) => json!(Condition::new(&condition)?.holds(Some(&answer), &scope)),
        Task::Subject(subject) => {
            let subject = Subject::new(&subject)?;
            json!(subject.read(Some(&answer), &scope).map(|seen| value::compact(&seen.into_json())))
        }
        Task::Template(parts) => {
            let mut out = Vec::new();
            render::append(&parts, &scope, Shown::Real, &mut out);
            json!(String::from_utf8_lossy(&out))
        }
        Task::Path(path) => {
            let path = Path::new(&path)?;
            let written = |node: Seen<'_>| value::compact(&node.into_json());
            json!(path.nodes(&answer).map(|nodes| nodes.into_iter().map(written).collect::<Vec<_>>()))
        }
    })
}

/// Three checks and two extracts on a response of about 300 bytes.
fn measure() -> Result<(), Box<dyn std::error::Error>> {
    const ROUNDS: u32 = 200_000;
    let body = r#"{"id":4711,"state":"open","total":59.97,"currency":"EUR","items":[{"id":17,"name":"Lamp","price":19.99,"stock":3},{"id":18,"name":"Table","price":39.98,"stock":0}],"customer":{"id":42,"name":"Ann Example","city":"Berlin"},"links":{"self":"/orders/4711","pay":"/orders/4711/pay"},"created":"2026-01-31T12:34:56Z"}"#;
    let raw = format!(
        "HTTP/1.1 200 OK\r\nServer: shop\r\nDate: Sat, 31 Jan 2026 12:34:56 GMT\r\nContent-Type: application/json\r\nContent-Length: {}\r\nX-Request-Id: 0123456789abcdef\r\n\r\n{body}",
        body.len()
    );
    let scope = UserScope::new(serde_json::from_value(json!({
        "seed": 1, "iteration": 1, "round": 0, "user": 1, "slots": {}, "rows": [], "secrets": {}, "wall_ns": 0
    }))?);
    let comparison = |subject: Json, operator: &str, operand: Json| -> Result<Condition, Box<dyn std::error::Error>> {
        let written = json!({"condition": "comparison", "subject": subject, "operator": operator, "operand": operand});
        Ok(Condition::new(&serde_json::from_value(written)?)?)
    };
    let path = |text: &str| json!({"kind": "json", "text": text});
    let cheap = [
        comparison(json!({"kind": "status"}), "eq", json!(200))?,
        comparison(json!({"kind": "time"}), "lt", json!(500_000_000))?,
        comparison(json!({"kind": "header", "text": "content-type"}), "contains", json!("json"))?,
    ];
    let checks = [
        comparison(json!({"kind": "status"}), "eq", json!(200))?,
        comparison(path("$.state"), "in", json!(["new", "open"]))?,
        comparison(path("$.total"), "ge", json!(0))?,
    ];
    let extract = |text: &str| -> Result<Extract, Box<dyn std::error::Error>> {
        let written = json!({"slot": 0, "subject": path(text), "text": text});
        Ok(Extract::new(&serde_json::from_value(written)?)?)
    };
    let extracts = [extract("$.id")?, extract("$.items[0].id")?];
    let wild = [extract("$.items[*].id")?];
    let run = |name: &str, conditions: &[Condition], extracts: &[Extract]| {
        let begin = Instant::now();
        let mut count = 0_u64;
        for _ in 0..ROUNDS {
            let answer = Answer::of_bytes(200, 1_000_000, body.len() as u64, raw.as_bytes());
            for condition in conditions {
                count += u64::from(condition.holds(Some(&answer), &scope));
            }
            for extract in extracts {
                count += u64::from(extract.value(&answer, &scope).seen().is_some());
            }
        }
        println!("{name}: {:.0} ns per response ({count})", begin.elapsed().as_secs_f64() * 1e9 / f64::from(ROUNDS));
    };
    run("3 checks of status, time and header", &cheap, &[]);
    run("3 checks and 2 extracts", &checks, &extracts);
    run("1 check and 1 extract with [*]", &checks[..1], &wild);
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().nth(1).as_deref() == Some("measure") {
        return measure();
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let result = result(serde_json::from_str(&line?)?).unwrap_or_else(|error| json!({ "error": error }));
        writeln!(out, "{result}")?;
        out.flush()?;
    }
    Ok(())
}
