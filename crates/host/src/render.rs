//! Renders the Tera templates that are compiled into this crate.

use serde::Serialize;
use tera::{Context, Tera};

/// A template with a fault in it, or values that do not fit it. The source says the place.
#[derive(Debug, thiserror::Error)]
#[error("{file} cannot be rendered; mend it and build the project again")]
pub struct RenderError {
    file: &'static str,
    source: tera::Error,
}

/// Renders `text`, the content of the template `file`. Nothing is escaped.
pub(crate) fn render(
    file: &'static str,
    text: &str,
    values: &impl Serialize,
) -> Result<String, RenderError> {
    let render = || {
        let mut tera = Tera::default();
        tera.autoescape_on(Vec::new());
        tera.add_raw_template(file, text)?;
        tera.render(file, &Context::from_serialize(values)?)
    };
    render().map_err(|source| RenderError { file, source })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_wrong_template_is_named_with_file_and_place() {
        let values = BTreeMap::from([("a", 1)]);
        let error = render("lxc/x.tera", "a\n{{ nothing }}", &values).unwrap_err();
        assert!(error.to_string().starts_with("lxc/x.tera cannot be rendered"), "{error}");
        let place = std::error::Error::source(&error.source).map(ToString::to_string);
        assert!(place.is_some_and(|place| place.contains("nothing")), "{:?}", error.source);
    }
}
