//! Names of a request's parts, in rules, stickiness and overrides.

use super::super::source::Complaint;

/// A token (RFC 9110, section 5.6.2); `what` names the text in a complaint.
pub fn token(what: &str, text: &str, help: &str) -> Result<String, Complaint> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let why = match text.chars().find(|c| !is_token(*c)) {
        None if text.is_empty() => "it is empty".to_owned(),
        None => return Ok(text.to_owned()),
        Some(stranger) => format!("it contains {stranger:?}"),
    };
    Err(Complaint::new(format!("{text:?} cannot be {what}: {why}"), help))
}

/// In lower case, as names of headers compare (RFC 9110, section 5.1).
pub fn header_name(text: &str) -> Result<String, Complaint> {
    let name = token("the name of a header", text, "write a name such as `x-user`")?;
    Ok(name.to_ascii_lowercase())
}

pub fn cookie_name(text: &str) -> Result<String, Complaint> {
    token("the name of a cookie", text, "write a name such as `user`")
}

pub fn query_name(text: &str) -> Result<String, Complaint> {
    if text.is_empty() {
        let message = "the name of a query parameter cannot be empty";
        return Err(Complaint::new(message, "write a name such as `user`"));
    }
    Ok(text.to_owned())
}
