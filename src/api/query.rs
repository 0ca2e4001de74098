//! The parameters of a query string, as every path of the admin API reads them: known, given once, and well formed.

use std::str::FromStr;

/// The longest part of a query that an error repeats, in characters.
const SHOWN: usize = 100;

/// What is wrong with a query string.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error("there is no parameter `{name}`")]
    Unknown { name: String, known: &'static [&'static str] },
    #[error("the parameter `{name}` is given more than once")]
    Repeated { name: &'static str },
    #[error("the parameter `{name}` is missing")]
    Missing { name: &'static str },
    #[error("the parameter `{name}` is {value:?}, which is not {expected}")]
    Malformed { name: &'static str, value: String, expected: String },
}

/// The parameters of one query string that nobody has taken yet.
#[derive(Debug, Default)]
pub struct Parameters(Vec<(&'static str, String)>);

impl Parameters {
    /// Reads a query string that may have these parameters.
    ///
    /// # Errors
    ///
    /// Where it has another one.
    pub fn read(text: &str, known: &'static [&'static str]) -> Result<Self, QueryError> {
        let pairs = form_urlencoded::parse(text.as_bytes()).map(|(name, value)| {
            let is_it = |known: &&&'static str| **known == name;
            match known.iter().find(is_it) {
                Some(name) => Ok((*name, value.into_owned())),
                None => Err(QueryError::Unknown { name: shortened(&name), known }),
            }
        });
        Ok(Self(pairs.collect::<Result<_, _>>()?))
    }

    /// Every value of a parameter, in order.
    pub fn all(&mut self, name: &'static str) -> Vec<String> {
        let of_name = self.0.extract_if(.., |(other, _)| *other == name);
        of_name.map(|(_, value)| value).collect()
    }

    /// The value of a parameter, if it is given.
    ///
    /// # Errors
    ///
    /// Where it is given more than once.
    pub fn text(&mut self, name: &'static str) -> Result<Option<String>, QueryError> {
        let mut values = self.all(name).into_iter();
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(QueryError::Repeated { name }),
        }
    }

    /// The same for a name, which is never empty.
    ///
    /// # Errors
    ///
    /// Where it is empty, or given more than once.
    pub fn name(&mut self, name: &'static str) -> Result<Option<String>, QueryError> {
        match self.text(name)? {
            Some(text) if text.is_empty() => Err(malformed(name, &text, "a name")),
            text => Ok(text),
        }
    }

    /// The same for a value of another type. `expected` completes "which is not".
    ///
    /// # Errors
    ///
    /// Where it is no such value, or given more than once.
    pub fn value<T: FromStr>(
        &mut self,
        name: &'static str,
        expected: &str,
    ) -> Result<Option<T>, QueryError> {
        let parse = |text: String| text.parse().map_err(|_| malformed(name, &text, expected));
        self.text(name)?.map(parse).transpose()
    }
}

/// The error for a value that is not what is expected.
pub fn malformed(name: &'static str, value: &str, expected: &str) -> QueryError {
    QueryError::Malformed { name, value: shortened(value), expected: expected.to_owned() }
}

fn shortened(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Parameters, QueryError> {
        Parameters::read(text, &["service", "limit"])
    }

    #[test]
    fn a_parameter_is_known_and_given_once() {
        let mut parameters = read("service=a%20b&limit=5").unwrap();
        assert_eq!(parameters.name("service"), Ok(Some("a b".to_owned())));
        assert_eq!(parameters.value::<usize>("limit", "a number"), Ok(Some(5)));
        assert_eq!(parameters.name("service"), Ok(None));
        let unknown = read("service=a&colour=red").unwrap_err().to_string();
        assert_eq!(unknown, "there is no parameter `colour`");
        let twice = read("service=a&service=b").unwrap().name("service").unwrap_err().to_string();
        assert_eq!(twice, "the parameter `service` is given more than once");
    }

    #[test]
    fn what_is_no_such_value_is_repeated_as_far_as_it_helps() {
        let empty = read("service=").unwrap().name("service").unwrap_err().to_string();
        assert_eq!(empty, "the parameter `service` is \"\", which is not a name");
        let long = format!("limit={}", "9".repeat(10_000));
        let error = read(&long).unwrap().value::<usize>("limit", "a number").unwrap_err();
        assert!(error.to_string().len() < 200, "{error}");
    }
}
