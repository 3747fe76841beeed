//! Request heads for HTTP/2: the constant part, and the values rendered into it.

use std::sync::Arc;

use h2client::{Template, Value};

use crate::plan::{Part, Plan, Step};
use crate::template::{Program, Secrets};

/// A step prepared for HTTP/2.
#[derive(Debug)]
pub(in crate::transport) struct StreamStep {
    /// Values of the template's variable fields, in order.
    pub(super) values: Vec<Program>,
    pub(super) body: Option<Program>,
}

impl StreamStep {
    /// Prepares a step with the current secrets.
    pub(in crate::transport) fn new(step: &Step, plan: &Plan, secrets: &Secrets) -> StreamStep {
        let (_, variables) = template(step, plan);
        let values = variables
            .iter()
            .map(|variable| match variable {
                Source::Parts(parts) => Program::of_value(parts, secrets),
                Source::BodyLength => Program::of_length(step, secrets),
            })
            .collect();
        StreamStep { values, body: Program::of_body(step, secrets) }
    }
}

/// The heads of all steps, without secrets.
pub(super) fn templates(plan: &Plan) -> Arc<[Template]> {
    plan.steps().map(|(_, step)| template(step, plan).0).collect()
}

/// The source of a variable value in a head.
enum Source {
    Parts(Vec<Part>),
    BodyLength,
}

/// The head of a step, and the sources of its variable values.
fn template(step: &Step, plan: &Plan) -> (Template, Vec<Source>) {
    let origin = &plan.origins[step.origin];
    let host = step.headers.iter().find(|header| header.name.eq_ignore_ascii_case("host"));
    let authority =
        host.map_or_else(|| vec![Part::Literal { text: origin.authority() }], |header| header.value.clone());
    let mut variables = Vec::new();
    let mut value_of = |parts: &[Part]| match parts {
        [] => Value::from(""),
        [Part::Literal { text }] => Value::from(text.as_str()),
        parts => {
            variables.push(Source::Parts(parts.to_vec()));
            if parts.iter().any(Part::is_secret) { Value::Secret } else { Value::Variable }
        }
    };
    let authority = value_of(&authority);
    let target = value_of(&step.target);
    let mut template = Template::new(step.method.as_str(), origin.scheme.name(), authority, target);
    for header in &step.headers {
        let name = header.name.to_ascii_lowercase();
        let is_te = name == "te" && header.value != [Part::Literal { text: "trailers".to_owned() }];
        // Fields without a meaning in HTTP/2 are not sent.
        if h2client::is_allowed(name.as_bytes()) && !is_te {
            template.header(name.as_bytes(), value_of(&header.value));
        }
    }
    if step.sends_length() {
        variables.push(Source::BodyLength);
        template.header(b"content-length", Value::Variable);
    }
    (template, variables)
}
