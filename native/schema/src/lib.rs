//! JSON Schemas of checks, without access to network and files; patterns match in linear time.
//!
//! This is a crate of its own for the sake of the build: `jsonschema` consists of generic code, of which only this crate
//! compiles what it uses. See the profile of the workspace.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt;

use jsonschema::{PatternOptions, Retrieve, Uri};
use serde_json::Value as Json;

/// Limit of references: each may be a level of the validation, whose stack is limited.
const MOST_REFERENCES: usize = 1000;
const MOST_PATTERN_BYTES: usize = 8 * 1024 * 1024;

/// A compiled schema.
pub struct Schema(Box<dyn Fn(&Json) -> bool + Send + Sync>);

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    /// The reason why it cannot be used.
    pub fn new(document: &Json) -> Result<Schema, String> {
        if references(document) > MOST_REFERENCES {
            return Err(format!("its schema has more than {MOST_REFERENCES} references"));
        }
        let patterns = PatternOptions::regex().size_limit(MOST_PATTERN_BYTES).dfa_size_limit(MOST_PATTERN_BYTES);
        let validator = jsonschema::options()
            .with_pattern_options(patterns)
            .with_retriever(NoDocuments)
            .should_validate_formats(false)
            .build(document)
            .map_err(|error| format!("its schema cannot be used: {error}"))?;
        Ok(Schema(Box::new(move |json| validator.is_valid(json))))
    }

    /// Whether a document conforms to it.
    #[must_use]
    pub fn accepts(&self, json: &Json) -> bool {
        self.0(json)
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Schema")
    }
}

/// Refuses references to other documents.
struct NoDocuments;

impl Retrieve for NoDocuments {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Json, Box<dyn Error + Send + Sync>> {
        Err(format!("it refers to another document: {uri}").into())
    }
}

/// The number of `$ref` and its like, at any depth.
fn references(schema: &Json) -> usize {
    match schema {
        Json::Array(items) => items.iter().map(references).sum(),
        Json::Object(members) => members
            .iter()
            .map(|(name, member)| usize::from(name.ends_with("ef") && name.starts_with('$')) + references(member))
            .sum(),
        _ => 0,
    }
}
