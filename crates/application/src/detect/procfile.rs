//! A `Procfile`: a line `NAME: COMMAND` for each kind of process, of which `web` takes requests.

use model::shell::Line;

use super::chosen::Start;
use super::refusal::Refusal;

/// What a `Procfile` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Procfile {
    /// What takes requests.
    pub(super) web: Option<Start>,
    /// The names of the others.
    pub(super) others: Vec<String>,
}

/// Reads a `Procfile`.
pub(super) fn parse(text: &str) -> Result<Procfile, Refusal> {
    let mut procfile = Procfile::default();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |reason| Refusal::Procfile { line: number + 1, reason };
        let (name, command) = line
            .split_once(':')
            .filter(|(name, _)| is_name(name))
            .ok_or(wrong("write NAME: COMMAND, as in web: gunicorn app:app"))?;
        if name != "web" {
            procfile.others.push(name.to_owned());
        } else if procfile.web.is_some() {
            return Err(wrong("there is a second web: leave one"));
        } else {
            procfile.web = Some(start(command.trim()).map_err(wrong)?);
        }
    }
    Ok(procfile)
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    !name.is_empty() && name.bytes().all(allowed)
}

fn start(command: &str) -> Result<Start, &'static str> {
    match Line::read(command).ok_or("a quote or a backslash has no end: complete it")? {
        Line::Words(words) if words.first().is_none_or(String::is_empty) => {
            Err("the command is missing: write it after the colon")
        }
        Line::Words(words) => Ok(Start::Words(words)),
        // A shell that runs one command stays in front of it, and signals would get no further.
        Line::OneCommand => Ok(Start::Shell(format!("exec env {command}"))),
        Line::Commands => Ok(Start::Shell(command.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web(command: &str) -> Start {
        parse(&format!("web: {command}")).unwrap().web.unwrap()
    }

    #[test]
    fn a_line_of_plain_words_is_started_by_them() {
        let words = |words: &[&str]| Start::Words(words.iter().map(ToString::to_string).collect());
        assert_eq!(web("gunicorn app:app"), words(&["gunicorn", "app:app"]));
        assert_eq!(web("a 'b c' \"d\\\"e\" f\\ g"), words(&["a", "b c", "d\"e", "f g"]));
        assert_eq!(
            web("a --b=c,d @e %f +g {h}"),
            words(&["a", "--b=c,d", "@e", "%f", "+g", "{h}"])
        );
    }

    #[test]
    fn a_line_with_variables_gives_way_to_its_command_so_that_signals_get_there() {
        for line in [
            "uvicorn main:app --port $PORT",
            "A=b gunicorn app:app",
            "a > log",
            "a *.py",
            "a ~/b",
            "a '#'",
        ] {
            assert_eq!(web(line), Start::Shell(format!("exec env {line}")), "{line}");
        }
    }

    #[test]
    fn a_line_of_several_commands_is_a_shells_as_it_is() {
        for line in [
            "python migrate.py && gunicorn app:app",
            "a | b",
            "a; b",
            "exec gunicorn app:app",
            "cd src",
            "a `b`",
            "a $(b)",
        ] {
            assert_eq!(web(line), Start::Shell(line.to_owned()), "{line}");
        }
    }

    #[test]
    fn other_processes_are_named_and_not_started() {
        let text = "# ours\r\n\r\nrelease: ./migrate\r\nweb: a b\r\nworker-2: c\r\n";
        let procfile = parse(text).unwrap();
        assert_eq!(procfile.web, Some(Start::Words(vec!["a".into(), "b".into()])));
        assert_eq!(procfile.others, ["release", "worker-2"]);
        assert_eq!(parse("worker: c").unwrap().web, None);
    }

    #[test]
    fn what_is_no_procfile_is_refused_with_its_line() {
        for (text, line, told) in [
            ("web gunicorn", 1, "write NAME: COMMAND"),
            ("\nmy web: a", 2, "write NAME: COMMAND"),
            ("web: a\nweb: b", 2, "second web"),
            ("web:", 1, "the command is missing"),
            ("web: '' a", 1, "the command is missing"),
            ("web: a 'b", 1, "has no end"),
        ] {
            let refusal = parse(text).unwrap_err();
            let said = refusal.to_string();
            assert!(
                said.starts_with(&format!("Procfile, line {line}: ")) && said.contains(told),
                "{said}"
            );
        }
    }
}
