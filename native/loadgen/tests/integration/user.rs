//! The user and the responses of shared cases (`tests/vectors/evaluation.json`).
#![allow(clippy::unwrap_used, clippy::struct_field_names)] // shared cases are correct, and named by their file

use std::collections::HashMap;

use loadgen::random;
use loadgen::scenario::{Answer, Scope, Value};
use loadgen::template::Values;
use serde::Deserialize;
use serde_json::Value as Json;

#[derive(Deserialize)]
pub struct User {
    seed: u64,
    iteration: u64,
    round: u64,
    user: u64,
    slots: HashMap<usize, Json>,
    rows: Vec<Vec<Json>>,
    secrets: HashMap<String, String>,
    wall_ns: u64,
}

pub struct UserScope {
    user: User,
    slots: Vec<Value>,
}

impl UserScope {
    pub fn new(user: User) -> UserScope {
        let mut slots = vec![Value::Unset; 20];
        for (slot, json) in &user.slots {
            slots[*slot] = Value::from(json.clone());
        }
        UserScope { user, slots }
    }
}

static UNSET: Value = Value::Unset;

impl Scope for UserScope {
    fn slot(&self, slot: usize) -> &Value {
        self.slots.get(slot).unwrap_or(&UNSET)
    }

    fn cell(&self, table: usize, column: usize, _place: u64) -> Value {
        Value::from(self.user.rows[table][column].clone())
    }

    fn user(&self) -> u64 {
        self.user.user
    }

    fn iteration(&self) -> u64 {
        self.user.iteration
    }

    fn draw(&self, place: u64) -> u64 {
        random::draw_at(self.user.seed, self.user.iteration, place, self.user.round)
    }

    fn values(&self) -> Values {
        Values { seed: self.user.seed, number: self.user.iteration, wall_ns: self.user.wall_ns }
    }

    fn secret(&self, slot: &str) -> &str {
        self.user.secrets.get(slot).map_or("", String::as_str)
    }
}

#[derive(Deserialize)]
pub struct Response {
    pub status: u16,
    #[serde(default)]
    pub time_ns: u64,
    pub size: Option<u64>,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
    pub body_hex: Option<String>,
}

/// Each character of a header is one byte.
pub fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect()
}

fn of_hex(hex: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digits).collect()
}

impl Response {
    pub fn body(&self) -> Vec<u8> {
        self.body.as_ref().map_or_else(|| of_hex(self.body_hex.as_ref().unwrap()), |body| body.clone().into_bytes())
    }

    pub fn raw(&self) -> Vec<u8> {
        let mut raw = format!("HTTP/1.1 {} -\r\n", self.status).into_bytes();
        for (name, value) in &self.headers {
            raw.extend([name.as_bytes(), b": ", &bytes(value), b"\r\n"].concat());
        }
        raw.extend_from_slice(b"\r\n");
        raw.extend(self.body());
        raw
    }

    pub fn answer<'a>(&self, raw: &'a [u8]) -> Answer<'a> {
        Answer::of_bytes(self.status, self.time_ns, self.size.unwrap_or(self.body().len() as u64), raw)
    }
}
