//! The names of what a Python application needs. Versions are pip's to judge.

use std::collections::BTreeSet;

use crate::folder::Found;

/// Where Python ends a line of a text.
const ENDS_OF_LINES: [char; 10] =
    ['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'];

/// The names in `requirements.txt` and the files that it names by `-r`, of which each is read once however often
/// it is named: two files of two lines each that name one another would be read 2^n times to a depth of n. Those
/// that there are, are bounded by what is kept of the folder.
pub(super) fn names(found: &Found) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut seen = BTreeSet::from(["requirements.txt".to_owned()]);
    let mut to_read: Vec<String> = seen.iter().cloned().collect();
    while let Some(path) = to_read.pop() {
        for line in found.text(&path).map(logical_lines).unwrap_or_default() {
            match included(&line).map(|other| beside(&path, other)) {
                None => names.extend(name(&line)),
                Some(other) => {
                    if found.text(&other).is_some() && seen.insert(other.clone()) {
                        to_read.push(other);
                    }
                }
            }
        }
    }
    names
}

/// The path of a file that another one names, from the folder that holds the other.
fn beside(path: &str, named: &str) -> String {
    let named = named.strip_prefix("./").unwrap_or(named);
    match path.rsplit_once('/') {
        Some((folder, _)) => format!("{folder}/{named}"),
        None => named.to_owned(),
    }
}

/// Lines as pip reads them: joined after a backslash, which at the end of a comment is none where the line has nothing
/// else, and without comments.
pub(crate) fn logical_lines(text: &str) -> Vec<String> {
    let (mut lines, mut begun) = (Vec::new(), String::new());
    for line in text.replace("\r\n", "\n").split(ENDS_OF_LINES) {
        match line.strip_suffix('\\') {
            Some(_) if !line.trim_start().starts_with('#') => begun += line.trim_matches('\\'),
            _ => {
                // A comment is one also behind what was begun.
                begun += if line.trim_start().starts_with('#') { " " } else { "" };
                begun += line;
                lines.push(std::mem::take(&mut begun));
            }
        }
    }
    lines.push(begun);
    let bare = lines.iter().map(|line| without_comment(line).trim().to_owned());
    bare.filter(|line| !line.is_empty()).collect()
}

fn without_comment(line: &str) -> &str {
    let mut signs = line.match_indices('#');
    let begins = |at: usize| at == 0 || line[..at].ends_with(char::is_whitespace);
    signs.find(|(at, _)| begins(*at)).map_or(line, |(at, _)| &line[..at])
}

/// The file that a line reads in.
fn included(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("--requirement").or_else(|| line.strip_prefix("-r"))?;
    Some(rest.trim_start_matches(['=', ' ', '\t']).trim())
}

/// The name at the start of a requirement, as PEP 508 writes one; `None` for an option, an address or a path,
/// which name nothing.
pub(crate) fn name(requirement: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let requirement = requirement.trim();
    let end = requirement.find(|c| !is_part(c)).unwrap_or(requirement.len());
    let (name, rest) = requirement.split_at(end);
    let is_edge = |c: char| c.is_ascii_alphanumeric();
    let follows = rest.trim_start();
    let goes_on = follows.is_empty()
        || follows.starts_with(['[', '(', '<', '>', '=', '!', '~', ';', '@'])
        || (rest.starts_with([' ', '\t']) && follows.starts_with("--"));
    (name.starts_with(is_edge) && name.ends_with(is_edge) && goes_on).then(|| normal(name))
}

/// PEP 503: the same name is written in several ways.
fn normal(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

/// The names that a `pyproject.toml` depends on; `None` where it is about tools alone.
pub(super) fn names_of_project(text: &str) -> Result<Option<BTreeSet<String>>, String> {
    let table: toml::Table =
        text.parse().map_err(|error: toml::de::Error| error.to_string().trim_end().to_owned())?;
    if let Some(project) = table.get("project") {
        let listed = project.get("dependencies").and_then(toml::Value::as_array);
        let listed = listed.into_iter().flatten().filter_map(toml::Value::as_str);
        return Ok(Some(listed.filter_map(name).collect()));
    }
    let poetry = table.get("tool").and_then(|tool| tool.get("poetry"));
    let Some(poetry) = poetry else { return Ok(None) };
    let listed = poetry.get("dependencies").and_then(toml::Value::as_table);
    let listed = listed.into_iter().flat_map(toml::Table::keys).filter(|name| *name != "python");
    Ok(Some(listed.filter_map(|key| name(key)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_all_of_a_name_and_nothing_else() {
        for (requirement, expected) in [
            ("flask", "flask"),
            ("Flask==3.0.2", "flask"),
            ("flask-cors", "flask-cors"),
            ("Flask_Login>=0.6,<1", "flask-login"),
            ("zope.interface ~= 5", "zope-interface"),
            ("uvicorn[standard]", "uvicorn"),
            ("uvicorn [standard] (>=0.2)", "uvicorn"),
            ("django;python_version>'3.8'", "django"),
            ("pip @ file:///x", "pip"),
            ("a---b._c", "a-b-c"),
            ("gunicorn --hash=sha256:ab", "gunicorn"),
        ] {
            assert_eq!(name(requirement).as_deref(), Some(expected), "{requirement}");
        }
        for requirement in [
            "",
            "-e .",
            "--index-url x",
            "./flask",
            "git+https://x/flask.git",
            "https://x/flask.whl",
            "flask 3",
            "-flask",
            "flask-",
            "flask/wsgi",
        ] {
            assert_eq!(name(requirement), None, "{requirement}");
        }
    }

    #[test]
    fn comments_and_ends_of_lines_are_read_as_pip_reads_them() {
        let text = "# Flask\nflask # a comment\r\nbottle \\\n  >= 0.12\n\n  Django#egg\n";
        assert_eq!(logical_lines(text), ["flask", "bottle   >= 0.12", "Django#egg"]);
        let text = "a \\\n# b \\\nc # d \\\ne\x0cf\rg \\";
        assert_eq!(logical_lines(text), ["a", "c", "f", "g"]);
    }

    #[test]
    fn a_project_lists_what_it_depends_on() {
        let names = |text: &str| {
            names_of_project(text).unwrap().map(|names| names.into_iter().collect::<Vec<_>>())
        };
        let project = "[project]\ndependencies = ['FastAPI>=0.1', 'uvicorn[standard]', './x']";
        assert_eq!(names(project).unwrap(), ["fastapi", "uvicorn"]);
        let poetry = "[tool.poetry.dependencies]\npython = '^3.11'\nFlask = { version = '^3' }";
        assert_eq!(names(poetry).unwrap(), ["flask"]);
        assert_eq!(names("[project]\nname = 'x'").unwrap(), [""; 0]);
        assert_eq!(names("[tool.ruff]\nline-length = 100"), None);
        assert!(names_of_project("[project").unwrap_err().contains("line 1"));
    }
}
