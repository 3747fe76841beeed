//! Validates a plan before any request is sent. Plans are untrusted: none may make the engine panic, send a header that
//! is not in the plan, or allocate without bound.

use crate::pattern;

use super::{
    CAPABILITIES, CheckKind, HttpVersion, Lane, Model, Origin, Part, Plan, PlanError, PreparedUsers, Scheme, Selection,
    Step,
};

/// More users, arrivals per second or connections than any single machine can handle.
const MOST_USERS: f64 = 1_000_000.0;
const MOST_PER_SECOND: f64 = 10_000_000.0;
const MOST_ENDPOINTS: usize = 100_000;
/// Each has at least one thread.
const MOST_LANES: usize = 256;
/// Ten years: sums of a few of them are far below the limit of an i64.
const LONGEST_NS: u64 = 315_360_000_000_000_000;

impl Plan {
    pub(super) fn check(&self) -> Result<(), PlanError> {
        ensure(!self.endpoints.is_empty(), "endpoints", "there is none")?;
        ensure(self.endpoints.len() <= MOST_ENDPOINTS, "endpoints", "there are more than 100,000")?;
        ensure(!self.flows.is_empty(), "flows", "there is none")?;
        ensure(self.flows.len() <= MOST_ENDPOINTS, "flows", "there are more than 100,000")?;
        for (index, origin) in self.origins.iter().enumerate() {
            check_origin(origin, &format!("origins[{index}]"))?;
        }
        let mut steps = 0;
        for (index, flow) in self.flows.iter().enumerate() {
            let path = format!("flows[{index}]");
            ensure(!flow.steps.is_empty(), &path, "it has no step")?;
            steps += flow.steps.len();
            for (position, step) in flow.steps.iter().enumerate() {
                self.check_step(step, &format!("{path}.steps[{position}]"))?;
            }
        }
        ensure(steps <= MOST_ENDPOINTS, "flows", "there are more than 100,000 steps")?;
        self.check_scenarios()?;
        self.share.check()?;
        self.check_lanes()?;
        check_duration(Some(self.graceful_stop_ns.max(1)), "graceful_stop_ns")?;
        ensure(
            (1..=1000).contains(&self.connections.streams_per_connection),
            "connections.streams_per_connection",
            "it is not within 1 to 1,000",
        )?;
        check_duration(self.connections.resolve_every_ns, "connections.resolve_every_ns")?;
        if let Some(proxy) = &self.connections.proxy {
            check_origin(&proxy.origin, "connections.proxy.origin")?;
        }
        ensure(self.sampling.slowest <= 10_000, "sampling.slowest", "it is more than 10,000")?;
        ensure(self.sampling.first_per_endpoint <= 10_000, "sampling.first_per_endpoint", "it is more than 10,000")?;
        ensure(self.sampling.failures_per_kind <= 10_000, "sampling.failures_per_kind", "it is more than 10,000")?;
        match self.needs.iter().find(|need| !CAPABILITIES.contains(&need.as_str())) {
            Some(need) => Err(PlanError::Unsupported(need.clone())),
            None => self.check_supported(),
        }
    }

    /// Checks for features that the plan uses without listing them in `needs`.
    fn check_supported(&self) -> Result<(), PlanError> {
        let connections = &self.connections;
        let used = [
            ("tls", self.origins.iter().any(|origin| origin.scheme == Scheme::Https)),
            ("client_certificate", !connections.tls.certificate_pem.is_empty()),
            ("proxy", connections.proxy.is_some()),
            ("redirects", connections.redirects > 0),
            ("http2", connections.http_version == HttpVersion::Two),
            ("source_addresses", !connections.source_addresses.is_empty()),
            ("re_resolution", connections.resolve_every_ns.is_some()),
        ];
        match used.iter().find(|(name, used)| *used && !CAPABILITIES.contains(name)) {
            Some((name, _)) => Err(PlanError::Unsupported((*name).to_owned())),
            None => Ok(()),
        }
    }

    fn check_step(&self, step: &Step, path: &str) -> Result<(), PlanError> {
        ensure(step.endpoint < self.endpoints.len(), path, "its endpoint does not exist")?;
        ensure(step.origin < self.origins.len(), path, "its origin does not exist")?;
        ensure(is_token(&step.method), path, "its method is not a token")?;
        ensure(!step.target.is_empty(), path, "its target is empty")?;
        ensure(literals(&step.target).all(is_target_text), path, "its target has a space or a control character")?;
        for header in &step.headers {
            ensure(is_token(&header.name), path, "a header's name is not a token")?;
            ensure(literals(&header.value).all(is_header_text), path, "a header's value has a control character")?;
        }
        for (low, high) in &step.expected_statuses {
            ensure(*low <= *high && *low >= 100 && *high <= 999, path, "a range of expected statuses is not one")?;
        }
        for check in step.checks.iter().filter(|check| check.kind == CheckKind::Regex) {
            pattern::compile(&check.pattern)
                .map_err(|error| invalid(path, &format!("a check's pattern cannot be used: {error}")))?;
        }
        check_duration(Some(step.timeout_ns), path)
    }

    fn check_lanes(&self) -> Result<(), PlanError> {
        ensure(!self.lanes.is_empty(), "lanes", "there is none")?;
        ensure(self.lanes.len() <= MOST_LANES, "lanes", "there are more than 256")?;
        let mut has_lane = vec![false; self.flows.len()];
        for (index, lane) in self.lanes.iter().enumerate() {
            let path = format!("lanes[{index}]");
            ensure(!lane.flows.is_empty(), &path, "it has no flow")?;
            let mut weights = 0_u64;
            for flow in &lane.flows {
                let has_lane = has_lane.get_mut(*flow).ok_or_else(|| invalid(&path, "a flow of it does not exist"))?;
                ensure(!std::mem::replace(has_lane, true), &path, "a flow of it belongs to two lanes")?;
                weights = weights
                    .checked_add(self.flows[*flow].weight)
                    .ok_or_else(|| invalid(&path, "the weights of its flows add up to too much"))?;
            }
            ensure(lane.selection != Selection::Weighted || weights > 0, &path, "all weights are 0")?;
            let may_be_idle = !self.share.is_whole() && lane.load.model == Model::Closed;
            ensure(lane.total != Some(0) || may_be_idle, &path, "its total is 0")?;
            let has_barriers = lane.selection == Selection::Sequential && lane.flows.len() > 1;
            ensure(!has_barriers || self.share.is_whole(), &path, "sequential selection cannot be shared")?;
            let can_continue = lane.load.model == Model::Open && lane.prepared.is_none();
            ensure(self.share.from_ns == 0 || can_continue, &path, "only open loads can be continued")?;
            ensure(lane.last_number != Some(0), &path, "its last number is 0")?;
            check_duration(lane.duration_ns, &path)?;
            ensure(lane.start_ns <= LONGEST_NS, &path, "it starts after more than ten years")?;
            check_load(lane, &path)?;
            let prepares = lane.flows.iter().any(|flow| !self.flows[*flow].before_user.is_empty());
            ensure(!prepares || lane.flows.len() == 1, &path, "a flow with a before_user needs a lane of its own")?;
            let is_open = lane.load.model == Model::Open;
            let is_complete = lane.prepared.is_some() == (prepares && is_open);
            ensure(is_complete, &path, "an open load has prepared users if its flow has a before_user, and only then")?;
            lane.prepared.as_ref().map_or(Ok(()), |prepared| check_prepared(prepared, lane, &path))?;
        }
        ensure(has_lane.iter().all(|has_lane| *has_lane), "flows", "one belongs to no lane")
    }
}

fn check_prepared(prepared: &PreparedUsers, lane: &Lane, lane_path: &str) -> Result<(), PlanError> {
    let at = |field: &str| format!("{lane_path}.prepared.{field}");
    #[allow(clippy::cast_precision_loss)]
    let users = prepared.users as f64;
    ensure((1.0..=MOST_USERS).contains(&users), &at("users"), "it is not within 1 to 1,000,000")?;
    let rate = prepared.rate;
    ensure(rate.is_finite() && rate > 0.0 && rate <= MOST_PER_SECOND, &at("rate"), "it is out of range")?;
    ensure(prepared.lead_ns <= lane.start_ns, &at("lead_ns"), "it begins before the run")
}

fn check_load(lane: &Lane, lane_path: &str) -> Result<(), PlanError> {
    let load = &lane.load;
    let at = |field: &str| format!("{lane_path}.load.{field}");
    let most = if load.model == Model::Closed { MOST_USERS } else { MOST_PER_SECOND };
    let level_is_fine = |level: f64| level.is_finite() && (0.0..=most).contains(&level);
    ensure(!load.segments.is_empty(), &at("segments"), "there is none")?;
    for (index, segment) in load.segments.iter().enumerate() {
        let path = at(&format!("segments[{index}]"));
        ensure(level_is_fine(segment.start) && level_is_fine(segment.end), &path, "its levels are out of range")?;
        check_duration(segment.duration_ns, &path)?;
        let endless = segment.duration_ns.is_none();
        ensure(!endless || index + 1 == load.segments.len(), &path, "it has no end and is not the last")?;
        ensure(
            !endless || segment.start.to_bits() == segment.end.to_bits(),
            &path,
            "it has no end, so it cannot ramp",
        )?;
    }
    ensure(level_is_fine(load.warm_up_level), &at("warm_up_level"), "it is out of range")?;
    ensure(load.warm_up_ns <= LONGEST_NS, &at("warm_up_ns"), "it is more than ten years")?;
    ensure(load.catch_up_max_ns <= LONGEST_NS, &at("catch_up_max_ns"), "it is more than ten years")?;
    ensure(load.max_in_flight != Some(0), &at("max_in_flight"), "it is 0")?;
    #[allow(clippy::cast_precision_loss)]
    let in_flight = load.max_in_flight.unwrap_or(0) as f64;
    ensure(in_flight <= MOST_USERS, &at("max_in_flight"), "it is more than 1,000,000")?;
    let rate = load.max_rate.unwrap_or(1.0);
    ensure(rate.is_finite() && rate > 0.0 && rate <= MOST_PER_SECOND, &at("max_rate"), "it is out of range")
}

pub(super) fn invalid(path: &str, why: &str) -> PlanError {
    PlanError::Invalid(path.to_owned(), why.to_owned())
}

pub(super) fn ensure(holds: bool, path: &str, why: &str) -> Result<(), PlanError> {
    if holds { Ok(()) } else { Err(invalid(path, why)) }
}

fn check_duration(duration_ns: Option<u64>, path: &str) -> Result<(), PlanError> {
    ensure(duration_ns != Some(0), path, "a duration is 0")?;
    ensure(duration_ns.unwrap_or(1) <= LONGEST_NS, path, "a duration is more than ten years")
}

fn check_origin(origin: &Origin, path: &str) -> Result<(), PlanError> {
    ensure(origin.port > 0, path, "its port is 0")?;
    ensure(!origin.host.is_empty() && is_target_text(&origin.host), path, "its host is not one")
}

fn literals(template: &[Part]) -> impl Iterator<Item = &str> {
    template.iter().filter_map(|part| if let Part::Literal { text } = part { Some(text.as_str()) } else { None })
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// True if `text` may be part of a request target.
#[must_use]
pub fn is_target_text(text: &str) -> bool {
    text.bytes().all(|byte| byte > 0x20 && byte != 0x7F)
}

/// True if `text` may be part of a header value.
#[must_use]
pub fn is_header_text(text: &str) -> bool {
    text.bytes().all(|byte| byte >= 0x20 && byte != 0x7F || byte == b'\t')
}
