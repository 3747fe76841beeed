//! One second of a run as JSON, in the format of `atm.metrics.interval.Interval`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::books::IterationBooks;
use super::health::Reading;
use super::rows::RowBooks;
use super::sample::{self, Masker};
use super::second::{EndpointFigures, GeneratorFigures, Second};
use crate::histogram::Histogram;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::secrets::SecretStore;

/// Facts about a second beside its figures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub number: u64,
    pub phase: &'static str,
    pub duration_ns: u64,
    pub offered: f64,
    pub reading: Reading,
}

/// Returns one JSON object in UTF-8, without zeros and empty histograms.
pub(crate) fn to_bytes(frame: Frame, second: &mut Second, plan: &Plan, secrets: &SecretStore) -> Vec<u8> {
    let masker = Masker::new(plan, &secrets.known);
    let endpoints: Vec<Value> =
        second.active().map(|(endpoint, warm_up, figures)| endpoint_json(endpoint, warm_up, figures)).collect();
    let mut document = json!({
        "second": frame.number,
        "phase": frame.phase,
        "duration_ns": frame.duration_ns,
        "offered": frame.offered,
        "endpoints": endpoints,
        "generator": generator_json(&second.generator, &frame),
    });
    let iterations: Vec<Value> =
        second.active_iterations().map(|(flow, warm_up, books)| iterations_json(flow, warm_up, books)).collect();
    if !iterations.is_empty() {
        document["iterations"] = Value::Array(iterations);
    }
    let checks: Vec<Value> = second
        .active_checks()
        .map(|(check, warm_up, passed, failed)| check_json(check, warm_up, passed, failed))
        .collect();
    if !checks.is_empty() {
        document["checks"] = Value::Array(checks);
    }
    let rows: Vec<Value> = second.active_rows().map(|(table, books)| rows_json(table, books)).collect();
    if !rows.is_empty() {
        document["data"] = Value::Array(rows);
    }
    if !second.failures.is_empty() {
        let failures: Vec<Value> = second
            .failures
            .iter()
            .map(|group| {
                json!({
                    "endpoint": group.endpoint,
                    "warm_up": group.warm_up,
                    "outcome": group.outcome.name(),
                    "message": masker.mask(&group.message.text(plan)),
                    "count": group.count,
                    "first_ns": group.first_ns,
                    "last_ns": group.last_ns,
                })
            })
            .collect();
        document["failures"] = Value::Array(failures);
    }
    if !second.samples.is_empty() {
        let samples: Vec<Value> = second
            .samples
            .iter()
            .map(|raw| {
                serde_json::to_value(sample::readable(raw, plan, &secrets.current, &masker)).unwrap_or(Value::Null)
            })
            .collect();
        document["samples"] = Value::Array(samples);
    }
    if !second.sampled_iterations.is_empty() {
        let iterations = second.sampled_iterations.iter();
        document["sampled_iterations"] =
            iterations.map(|raw| sample::readable_iteration(raw, plan, &secrets.current, &masker)).collect();
    }
    document.to_string().into_bytes()
}

fn iterations_json(flow: usize, warm_up: bool, books: &IterationBooks) -> Value {
    let mut document = json!({"flow": flow, "warm_up": warm_up});
    let counts = [
        ("started", books.started),
        ("completed", books.completed),
        ("failed", books.failed),
        ("unfinished", books.unfinished),
        ("drained", books.drained),
    ];
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        document[name] = count.into();
    }
    for (name, times) in [("time", &books.time), ("active_time", &books.active_time)] {
        if !times.is_empty() {
            document[name] = encoded(times);
        }
    }
    document
}

fn check_json(check: usize, warm_up: bool, passed: u64, failed: u64) -> Value {
    let mut document = json!({"check": check, "warm_up": warm_up});
    for (name, count) in [("passed", passed), ("failed", failed)].into_iter().filter(|(_, count)| *count > 0) {
        document[name] = count.into();
    }
    document
}

fn rows_json(table: usize, books: &RowBooks) -> Value {
    let mut document = json!({"table": table, "used": books.used, "repeated": books.repeated});
    if let Some(bits) = books.bits() {
        document["rows"] = STANDARD.encode(bits).into();
    }
    document
}

fn encoded(histogram: &Histogram) -> Value {
    Value::String(STANDARD.encode(histogram.encode()))
}

fn endpoint_json(endpoint: usize, warm_up: bool, figures: &EndpointFigures) -> Value {
    let mut document = Map::new();
    document.insert("endpoint".to_owned(), endpoint.into());
    document.insert("warm_up".to_owned(), warm_up.into());
    let counts = [
        ("started", figures.started),
        ("dropped", figures.dropped),
        ("skipped", figures.skipped),
        ("queued_at_end", figures.queued_at_end),
        ("waited", figures.waited),
        ("drained_ok", figures.drained_ok),
        ("drained_failed", figures.drained_failed),
        ("redirect_hops", figures.redirect_hops),
        ("redialled", figures.redialled),
        ("bytes_received", figures.bytes_received),
        ("bytes_sent", figures.bytes_sent),
        ("clamped", figures.clamped),
        ("not_reached", figures.not_reached),
    ];
    for (name, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        document.insert(name.to_owned(), count.into());
    }
    let outcomes: Map<String, Value> = Outcome::ALL
        .iter()
        .zip(figures.outcomes)
        .filter(|(_, count)| *count > 0)
        .map(|(outcome, count)| (outcome.name().to_owned(), count.into()))
        .collect();
    if !outcomes.is_empty() {
        document.insert("outcomes".to_owned(), Value::Object(outcomes));
    }
    let statuses: Map<String, Value> =
        figures.statuses.iter().map(|(status, count)| (status.to_string(), (*count).into())).collect();
    if !statuses.is_empty() {
        document.insert("statuses".to_owned(), Value::Object(statuses));
    }
    let histograms = [
        ("response_ok", &figures.response_ok),
        ("response_failed", &figures.response_failed),
        ("response_timeout", &figures.response_timeout),
        ("service", &figures.service),
        ("first_byte", &figures.first_byte),
        ("error_time", &figures.error_time),
        ("waits", &figures.waits),
        ("waits_at_end", &figures.waits_at_end),
    ];
    for (name, histogram) in histograms.into_iter().filter(|(_, histogram)| !histogram.is_empty()) {
        document.insert(name.to_owned(), encoded(histogram));
    }
    Value::Object(document)
}

#[allow(clippy::cast_precision_loss)]
fn generator_json(figures: &GeneratorFigures, frame: &Frame) -> Value {
    let share = if frame.duration_ns == 0 { 0.0 } else { figures.thread_cpu_ns as f64 / frame.duration_ns as f64 };
    let mut document = json!({
        "stalls": figures.stalls,
        "stalled_ns": figures.stalled_ns,
        "longest_stall_ns": figures.longest_stall_ns,
        "cpu_seconds": frame.reading.cpu_seconds,
        // The two clocks are read one after the other, so a fully used core may slightly exceed 1.
        "busiest_thread_share": share.min(1.0),
        "steal_share": frame.reading.steal_share,
        "memory_bytes": frame.reading.memory_bytes,
        "users": figures.users,
        "in_flight": figures.in_flight,
        "waiting": figures.waiting,
        "open_connections": figures.open_connections,
        "dials": figures.dials,
        "connections_lost": figures.connections_lost,
        "saturated": figures.saturated,
    });
    let histograms = [
        ("schedule_lag", &figures.schedule_lag),
        ("connect", &figures.connect),
        ("tls", &figures.tls),
        ("dns", &figures.dns),
    ];
    for (name, histogram) in histograms.into_iter().filter(|(_, histogram)| !histogram.is_empty()) {
        document[name] = encoded(histogram);
    }
    document
}
