//! The head of a request: constant fields, and placeholders for variable values.

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// The same in every request.
    Constant(Box<[u8]>),
    /// Given with each request.
    Variable,
    /// Given with each request, and marked as never indexed, so that intermediaries do not store it.
    Secret,
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Constant(text.as_bytes().into())
    }
}

impl From<&[u8]> for Value {
    fn from(text: &[u8]) -> Value {
        Value::Constant(text.into())
    }
}

/// One field of a head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: Box<[u8]>,
    pub(crate) value: Value,
}

/// The head of a request. Its variable values are numbered from 0 in the order of the fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    fields: Vec<Field>,
}

impl Template {
    /// Creates a head with its four pseudo-header fields; `scheme` is `http` or `https`, `path` starts with `/`.
    #[must_use]
    pub fn new(
        method: impl Into<Value>,
        scheme: impl Into<Value>,
        authority: impl Into<Value>,
        path: impl Into<Value>,
    ) -> Template {
        let mut template = Template { fields: Vec::new() };
        template.push(b":method", method.into());
        template.push(b":scheme", scheme.into());
        template.push(b":authority", authority.into());
        template.push(b":path", path.into());
        template
    }

    /// Adds a header field; its name is sent in lower case.
    ///
    /// Returns false, and adds nothing, for a field that HTTP/2 does not allow: `host` (sent as the authority),
    /// `connection`, `keep-alive`, `proxy-connection`, `transfer-encoding`, `upgrade`, `te` with a value other than
    /// `trailers`, and names that are empty or start with a colon.
    pub fn header(&mut self, name: &[u8], value: impl Into<Value>) -> bool {
        let name = name.to_ascii_lowercase();
        let value = value.into();
        let allowed = is_allowed(&name) && (name != b"te" || value == Value::from("trailers"));
        if allowed {
            self.push(&name, value);
        }
        allowed
    }

    /// Number of variable values per request.
    #[must_use]
    pub fn variables(&self) -> usize {
        self.fields.iter().filter(|field| !matches!(field.value, Value::Constant(_))).count()
    }

    pub(crate) fn fields(&self) -> &[Field] {
        &self.fields
    }

    fn push(&mut self, name: &[u8], value: Value) {
        self.fields.push(Field { name: name.into(), value });
    }
}

/// Whether a field of this lower-case name may be sent in an HTTP/2 request beside the pseudo-header fields.
#[must_use]
pub fn is_allowed(name: &[u8]) -> bool {
    !matches!(
        name,
        [] | [b':', ..]
            | b"host"
            | b"connection"
            | b"keep-alive"
            | b"proxy-connection"
            | b"transfer-encoding"
            | b"upgrade"
    )
}
