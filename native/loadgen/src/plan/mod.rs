//! The load plan as `atm.plan.load_plan` writes it (`format` 1), read and checked: after [`Plan::from_bytes`] nothing in it
//! can make the engine panic, send a header that the plan does not hold, or allocate without bound.

mod check;

use std::fmt;
use std::net::IpAddr;

use serde::Deserialize;

pub use check::is_header_text;

/// The plan format that this engine reads.
pub const PLAN_FORMAT: u32 = 1;

/// Why bytes are not a plan that this engine can run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanError {
    /// Not JSON, or not of the plan's shape.
    Unreadable(String),
    /// Written for another version of the engine.
    Format(u32),
    /// Well-formed, but impossible: where, and why.
    Invalid(String, String),
    /// A secret that the plan needs: its slot, and what is wrong with it.
    Secret(String, &'static str),
    /// Possible, but not with this engine: the capability's name.
    Unsupported(String),
}

/// What is wrong with a secret that is not there.
pub const MISSING: &str = "and it was not given";

impl fmt::Display for PlanError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlanError::Unreadable(why) => write!(formatter, "not a load plan: {why}"),
            PlanError::Format(found) => {
                write!(formatter, "the plan has format {found}, this engine reads format {PLAN_FORMAT}")
            }
            PlanError::Invalid(path, why) => write!(formatter, "{path}: {why}"),
            PlanError::Secret(slot, MISSING) => write!(formatter, "the plan needs the secret \"{slot}\", {MISSING}"),
            PlanError::Secret(slot, why) => write!(formatter, "the secret \"{slot}\" {why}"),
            PlanError::Unsupported(feature) => write!(formatter, "the native engine cannot do this: {feature}"),
        }
    }
}

impl std::error::Error for PlanError {}

/// How a value is written into its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// As it is.
    Raw,
    /// RFC 3986, everything but unreserved characters.
    Percent,
    /// The inside of a JSON string.
    Json,
}

/// A value that differs per request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variable {
    /// UUID version 4 of the request.
    Uuid,
    /// Wall time with microseconds.
    Timestamp,
    /// Wall time in whole seconds.
    TimestampUnix,
    /// 1-based.
    RequestNumber,
    /// 0 to 999,999.
    RandomInt,
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "part", rename_all = "lowercase")]
pub enum Part {
    /// Sent as it is.
    Literal {
        /// The text.
        text: String,
    },
    /// Differs per request.
    Variable {
        /// Which value.
        name: Variable,
        /// How it is written.
        encoding: Encoding,
    },
    /// A secret slot.
    Secret {
        /// The slot's name.
        slot: String,
        /// How it is written.
        encoding: Encoding,
    },
}

/// Parts in order; none is the empty string.
pub type Template = Vec<Part>;

/// The two schemes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Plain.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// The port that a URL leaves out.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }

    /// `http` or `https`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// Where connections go.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Origin {
    /// Plain or TLS.
    pub scheme: Scheme,
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
    /// Dial this host instead; empty for `host`.
    #[serde(default)]
    pub connect_host: String,
    /// Dial this port instead; 0 for `port`.
    #[serde(default)]
    pub connect_port: u16,
    /// Where to dial, in turn.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// Why there are no addresses.
    #[serde(default)]
    pub resolve_error: String,
}

impl Origin {
    /// The port to dial.
    #[must_use]
    pub fn dial_port(&self) -> u16 {
        if self.connect_port == 0 { self.port } else { self.connect_port }
    }

    /// The host as it stands in a URL, IPv6 in brackets.
    #[must_use]
    pub fn url_host(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }

    /// Host and, where it is not the scheme's default, port.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.url_host()
        } else {
            format!("{}:{}", self.url_host(), self.port)
        }
    }
}

/// One header line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Header {
    /// As written.
    pub name: String,
    /// Its value.
    pub value: Template,
}

/// What a check looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckKind {
    /// A substring.
    Contains,
    /// A regular expression.
    Regex,
}

/// A condition on the response body.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BodyCheck {
    /// Substring or regular expression.
    pub kind: CheckKind,
    /// What must be found.
    pub pattern: String,
}

/// One request of a flow.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Step {
    /// Where its figures are counted.
    pub endpoint: usize,
    /// Index into the plan's origins.
    pub origin: usize,
    /// A token.
    pub method: String,
    /// Path and query.
    pub target: Template,
    /// In order, Host first.
    pub headers: Vec<Header>,
    /// None = no body.
    pub body: Option<Template>,
    /// Inclusive ranges of statuses that are ok.
    pub expected_statuses: Vec<(u16, u16)>,
    /// All must hold.
    pub checks: Vec<BodyCheck>,
    /// From the actual start to the last byte.
    pub timeout_ns: u64,
}

impl Step {
    /// Content-Length is sent where there is a body, or where the method means that there could be one.
    #[must_use]
    pub fn sends_length(&self) -> bool {
        self.body.is_some() || matches!(self.method.as_str(), "POST" | "PUT" | "PATCH")
    }
}

/// A journey of one user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Flow {
    /// For messages.
    pub name: String,
    /// For weighted selection.
    pub weight: u64,
    /// This engine runs exactly one.
    pub steps: Vec<Step>,
}

/// A linear piece of a load profile.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Segment {
    /// Users or arrivals per second at its begin.
    pub start: f64,
    /// At its end.
    pub end: f64,
    /// None for a last one without an end.
    pub duration_ns: Option<u64>,
}

/// Closed or open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Model {
    /// Users.
    Closed,
    /// Arrivals.
    Open,
}

/// How arrivals are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrival {
    /// Evenly.
    Even,
    /// As a Poisson process.
    Poisson,
}

/// What an arrival does that finds no free user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Saturation {
    /// Wait.
    Queue,
    /// Be missed.
    Drop,
}

/// What happens to arrivals that the generator itself noticed late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CatchUp {
    /// Start them late.
    Full,
    /// Skip them.
    None,
}

/// How much load, in which model.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Load {
    /// Closed or open.
    pub model: Model,
    /// At least one; warm-up is not among them.
    pub segments: Vec<Segment>,
    /// Runs before the segments.
    pub warm_up_ns: u64,
    /// Users or arrivals per second during warm-up.
    pub warm_up_level: f64,
    /// Open model.
    pub arrival: Arrival,
    /// Open model.
    pub on_saturation: Saturation,
    /// Open model.
    pub catch_up: CatchUp,
    /// Open model, `catch_up` full: later than this is missed.
    pub catch_up_max_ns: u64,
    /// Open model; None = the engine's ceiling.
    pub max_in_flight: Option<u64>,
    /// Closed model: starts per second of all users together.
    pub max_rate: Option<f64>,
}

/// TLS settings for every https origin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Tls {
    /// Certificates are not checked.
    pub insecure: bool,
    /// Trusted in addition to the system's roots.
    pub ca_pem: String,
    /// The client's certificate.
    pub certificate_pem: String,
    /// The secret slot of the client's key.
    pub key_slot: String,
    /// SNI and verified name instead of the host.
    pub server_name: String,
}

/// An HTTP proxy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Proxy {
    /// Where it listens.
    pub origin: Origin,
    /// The secret slot of Proxy-Authorization; empty for none.
    pub authorization_slot: String,
}

/// Which HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum HttpVersion {
    /// HTTP/1.1.
    #[default]
    #[serde(rename = "1.1")]
    One,
    /// HTTP/2.
    #[serde(rename = "2")]
    Two,
    /// What the server prefers.
    #[serde(rename = "auto")]
    Auto,
}

/// How connections are made and read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Connections {
    /// For https origins.
    pub tls: Tls,
    /// None = direct.
    pub proxy: Option<Proxy>,
    /// Follow at most so many per request.
    pub redirects: u32,
    /// Head and body together.
    pub max_response_bytes: Option<u64>,
    /// False: a connection per request.
    pub keep_alive: bool,
    /// Which HTTP.
    pub http_version: HttpVersion,
    /// HTTP/2 only.
    pub streams_per_connection: u32,
    /// Look names up again so often.
    pub resolve_every_ns: Option<u64>,
    /// Bind to these in turn.
    pub source_addresses: Vec<IpAddr>,
}

impl Default for Connections {
    fn default() -> Self {
        Connections {
            tls: Tls::default(),
            proxy: None,
            redirects: 0,
            max_response_bytes: None,
            keep_alive: true,
            http_version: HttpVersion::One,
            streams_per_connection: 1,
            resolve_every_ns: None,
            source_addresses: Vec::new(),
        }
    }
}

/// How many requests are kept whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// The first so many of each endpoint.
    pub first_per_endpoint: u64,
    /// The first so many of each (endpoint, outcome).
    pub failures_per_kind: u64,
    /// The slowest so many.
    pub slowest: usize,
    /// Bodies are cut here.
    pub body_bytes: usize,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling { first_per_endpoint: 2, failures_per_kind: 3, slowest: 10, body_bytes: 10_240 }
    }
}

/// How requests choose their flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// In turn.
    RoundRobin,
    /// By weight.
    Weighted,
    /// One after the other, with a barrier between.
    Sequential,
}

/// What the engine runs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Plan {
    /// For messages.
    pub name: String,
    /// Of every random decision.
    pub seed: u64,
    /// Display names.
    pub endpoints: Vec<String>,
    /// Where connections go.
    pub origins: Vec<Origin>,
    /// What is sent.
    pub flows: Vec<Flow>,
    /// Which flow when.
    pub selection: Selection,
    /// How much.
    pub load: Load,
    /// Measured arrivals or starts after which sending ends.
    pub total_requests: Option<u64>,
    /// The length of the measured window.
    pub duration_ns: Option<u64>,
    /// How long what is in flight may take after the end of sending.
    pub graceful_stop_ns: u64,
    /// How connections are made.
    #[serde(default)]
    pub connections: Connections,
    /// What is kept whole.
    #[serde(default)]
    pub sampling: Sampling,
    /// Capabilities beyond plain HTTP/1.1.
    #[serde(default)]
    pub needs: Vec<String>,
}

#[derive(Deserialize)]
struct FormatOnly {
    format: u32,
}

/// What a plan may need and this engine can do.
pub const CAPABILITIES: &[&str] =
    &["tls", "client_certificate", "proxy", "redirects", "body_checks", "source_addresses", "re_resolution", "http2"];

impl Plan {
    /// Reads and checks a plan.
    ///
    /// # Errors
    /// [`PlanError`] for anything that is not a plan which this engine can run.
    pub fn from_bytes(bytes: &[u8]) -> Result<Plan, PlanError> {
        let unreadable = |error: serde_json::Error| PlanError::Unreadable(error.to_string());
        // The format is looked at first: a plan from the future may not have today's shape.
        let format = serde_json::from_slice::<FormatOnly>(bytes).map_err(unreadable)?.format;
        if format != PLAN_FORMAT {
            return Err(PlanError::Format(format));
        }
        let plan: Plan = serde_json::from_slice(bytes).map_err(unreadable)?;
        plan.check()?;
        Ok(plan)
    }

    /// Names of all secret slots that the plan refers to.
    #[must_use]
    pub fn secret_slots(&self) -> Vec<&str> {
        let steps = self.flows.iter().flat_map(|flow| &flow.steps);
        let mut slots: Vec<&str> = steps
            .flat_map(|step| {
                let headers = step.headers.iter().flat_map(|header| &header.value);
                step.target.iter().chain(headers).chain(step.body.iter().flatten())
            })
            .filter_map(|part| if let Part::Secret { slot, .. } = part { Some(slot.as_str()) } else { None })
            .collect();
        if !self.connections.tls.key_slot.is_empty() {
            slots.push(&self.connections.tls.key_slot);
        }
        if let Some(proxy) = &self.connections.proxy
            && !proxy.authorization_slot.is_empty()
        {
            slots.push(&proxy.authorization_slot);
        }
        slots.sort_unstable();
        slots.dedup();
        slots
    }
}
