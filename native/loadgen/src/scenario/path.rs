//! Compiled `JSONPath`s (RFC 9535). A path of names, indexes and `*` only is walked directly; `serde_json_path`
//! evaluates all others.

use serde_json_path::JsonPath;

use super::Answer;
use super::node::Node;
use super::value::Seen;

const MOST_CHARACTERS: usize = 1000;
/// Each `..` multiplies the time by the depth of the response.
const MOST_DESCENDANTS: usize = 2;

/// A path.
#[derive(Debug, Clone)]
pub struct Path {
    /// None if it cannot be walked.
    steps: Option<Vec<Step>>,
    full: JsonPath,
}

/// A segment of a path that is walked.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Name(String),
    /// From the end if it is negative.
    Index(i64),
    All,
}

impl Path {
    /// Compiles a path.
    ///
    /// # Errors
    /// A message that says what is wrong with it.
    pub fn new(text: &str) -> Result<Path, String> {
        if text.chars().count() > MOST_CHARACTERS {
            return Err(format!("it has more than {MOST_CHARACTERS} characters"));
        }
        if unquoted(text).matches("..").count() > MOST_DESCENDANTS {
            return Err(format!("it has more than {MOST_DESCENDANTS} times `..`"));
        }
        let full = JsonPath::parse(text).map_err(|error| error.to_string())?;
        Ok(Path { steps: steps(text), full })
    }

    /// The first node of a response; None without a node, or if the body is not JSON.
    #[must_use]
    pub fn first<'a>(&self, answer: &'a Answer<'_>) -> Option<Seen<'a>> {
        match &self.steps {
            Some(steps) if !steps.contains(&Step::All) => walked(steps, answer.node()?).map(Node::seen),
            _ => self.nodes(answer)?.into_iter().next(),
        }
    }

    /// The number of matches; of a path that selects at most one node, the length of the array that it selects. None if
    /// the body is not JSON.
    #[must_use]
    pub fn count(&self, answer: &Answer<'_>) -> Option<u64> {
        let count = match &self.steps {
            Some(steps) if !steps.contains(&Step::All) => match walked(steps, answer.node()?) {
                Some(Node::Array(elements)) => elements.len(),
                node => usize::from(node.is_some()),
            },
            _ => self.nodes(answer)?.len(),
        };
        Some(count as u64)
    }

    /// The nodes of a response in order; None if the body is not JSON.
    #[must_use]
    pub fn nodes<'a>(&self, answer: &'a Answer<'_>) -> Option<Vec<Seen<'a>>> {
        let root = answer.node()?;
        let walked = self.steps.as_ref().and_then(|steps| {
            let mut nodes = Vec::new();
            walk_all(steps, root, &mut nodes).then_some(nodes)
        });
        Some(match walked {
            Some(nodes) => nodes.into_iter().map(Node::seen).collect(),
            None => self.full.query(answer.json()?).all().into_iter().map(Seen::of).collect(),
        })
    }
}

fn walked<'n, 'a>(steps: &[Step], node: &'n Node<'a>) -> Option<&'n Node<'a>> {
    steps.iter().try_fold(node, |node, step| match step {
        Step::Name(name) => node.member(name),
        Step::Index(index) => node.element(*index),
        Step::All => None,
    })
}

/// Collects the nodes. Returns false at `*` of an object, whose members may have equal names.
fn walk_all<'n, 'a>(steps: &[Step], node: &'n Node<'a>, nodes: &mut Vec<&'n Node<'a>>) -> bool {
    let Some(at) = steps.iter().position(|step| *step == Step::All) else {
        nodes.extend(walked(steps, node));
        return true;
    };
    match walked(&steps[..at], node) {
        Some(Node::Array(elements)) => elements.iter().all(|element| walk_all(&steps[at + 1..], element, nodes)),
        Some(Node::Object(_)) => false,
        _ => true,
    }
}

/// The steps of a valid path that has nothing but `.name`, `['name']` without escapes, `[0]`, `[*]` and `.*`.
fn steps(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(".*").or_else(|| rest.strip_prefix("[*]")) {
            steps.push(Step::All);
            rest = after;
        } else if let Some(after) = rest.strip_prefix('.') {
            let is_name = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '\u{80}'..);
            let length = after.find(|character| !is_name(character)).unwrap_or(after.len());
            if length == 0 {
                return None;
            }
            steps.push(Step::Name(after[..length].to_owned()));
            rest = &after[length..];
        } else {
            let (inside, after) = rest.strip_prefix('[')?.split_once(']')?;
            let quoted = |quote: char| inside.strip_prefix(quote).and_then(|inside| inside.strip_suffix(quote));
            steps.push(match quoted('\'').or_else(|| quoted('"')) {
                Some(name) if name.contains(['\\', '\'', '"']) => return None,
                Some(name) => Step::Name(name.to_owned()),
                None if inside.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => {
                    Step::Index(inside.parse().ok()?)
                }
                None => return None,
            });
            rest = after;
        }
    }
    Some(steps)
}

/// The path without what stands in quotes.
fn unquoted(path: &str) -> String {
    let mut quote = None;
    let mut is_escaped = false;
    path.chars()
        .filter(|character| match (quote, character) {
            _ if is_escaped => {
                is_escaped = false;
                false
            }
            (Some(_), '\\') => {
                is_escaped = true;
                false
            }
            (Some(open), _) => {
                quote = (open != *character).then_some(open);
                false
            }
            (None, '\'' | '"') => {
                quote = Some(*character);
                false
            }
            (None, _) => true,
        })
        .collect()
}
