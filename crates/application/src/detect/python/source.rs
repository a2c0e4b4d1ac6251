//! What a module of Python binds at its top level, read from its text: nothing of it is run.

use super::Interface;

/// A name that a module binds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) name: String,
    /// How it is called, where the statement tells.
    pub(super) interface: Option<Interface>,
}

/// Frameworks and wrappers whose instances are called by ASGI.
const ASGI: [&str; 10] = [
    "ASGIApp",
    "BlackSheep",
    "FastAPI",
    "Litestar",
    "ProtocolTypeRouter",
    "Quart",
    "Sanic",
    "Starlette",
    "WsgiToAsgi",
    "get_asgi_application",
];

/// The same by WSGI.
const WSGI: [&str; 7] = [
    "APIFlask",
    "Bottle",
    "Flask",
    "WSGIApp",
    "default_app",
    "get_wsgi_application",
    "make_wsgi_app",
];

/// The bindings of a module, in order. One of a name that was bound before takes its place when the module is
/// run.
pub(super) fn bindings(source: &str) -> Vec<Binding> {
    statements(source).iter().flat_map(|statement| bindings_of(statement)).collect()
}

fn bindings_of(statement: &str) -> Vec<Binding> {
    let bound = |name: &str, interface| Binding { name: name.to_owned(), interface };
    if let Some(rest) = statement.strip_prefix("async def ") {
        return function(rest, 3, Interface::Asgi).into_iter().collect();
    }
    if let Some(rest) = statement.strip_prefix("def ") {
        return function(rest, 2, Interface::Wsgi).into_iter().collect();
    }
    if let Some((_, names)) =
        statement.strip_prefix("from ").and_then(|rest| rest.split_once(" import "))
    {
        let names = names.split(',').filter_map(|name| {
            let name = name.trim_matches(|c: char| "()".contains(c) || c.is_whitespace());
            name.rsplit(char::is_whitespace).next().filter(|name| !name.is_empty())
        });
        return names.map(|name| bound(name, None)).collect();
    }
    let (names, value) = assignment(statement);
    let interface = interface(value);
    names.into_iter().map(|name| bound(name, interface)).collect()
}

/// A function that is called with this many arguments by an interface, and so is no application with others.
fn function(text: &str, arguments: usize, interface: Interface) -> Option<Binding> {
    let (name, rest) = identifier(text)?;
    (parameters(rest.strip_prefix('(')?) == arguments)
        .then(|| Binding { name: name.to_owned(), interface: Some(interface) })
}

/// How many parameters there are up to the bracket that closes them. Their types may have brackets of their own.
fn parameters(text: &str) -> usize {
    let (mut depth, mut count, mut is_in_one) = (0_usize, 0, false);
    for character in text.chars() {
        match character {
            ')' if depth == 0 => break,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => is_in_one = false,
            _ if character.is_whitespace() || is_in_one => {}
            _ => {
                is_in_one = true;
                count += 1;
            }
        }
    }
    count
}

/// The names that a statement assigns to, and what: of `a: T = b = c()` that is `a`, `b` and `c()`.
fn assignment(statement: &str) -> (Vec<&str>, &str) {
    let (mut names, mut rest) = (Vec::new(), statement);
    while let Some((name, after)) = identifier(rest) {
        // An annotation reaches to the first `=`, of which a type has none.
        let after = match after.strip_prefix(':') {
            Some(annotated) => annotated.find('=').map_or("", |at| &annotated[at..]),
            None => after,
        };
        match after.strip_prefix('=') {
            Some(value) if !value.starts_with('=') => {
                names.push(name);
                rest = value.trim_start();
            }
            _ => break,
        }
    }
    (names, rest)
}

/// The identifier at the start of a text, and what follows it after blanks.
fn identifier(text: &str) -> Option<(&str, &str)> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let is_name = name.starts_with(|c: char| !c.is_ascii_digit());
    is_name.then(|| (name, rest.trim_start()))
}

/// How what this value makes is called.
fn interface(value: &str) -> Option<Interface> {
    let is_part = |c: char| c.is_alphanumeric() || "_.".contains(c);
    let end = value.find(|c| !is_part(c))?;
    let (callee, rest) = value.split_at(end);
    if !rest.trim_start().starts_with('(') {
        return None;
    }
    let (path, last) = callee.rsplit_once('.').unwrap_or(("", callee));
    if path.split('.').any(|part| part == "asgi") || ASGI.contains(&last) {
        return Some(Interface::Asgi);
    }
    (WSGI.contains(&last) || callee == "falcon.App").then_some(Interface::Wsgi)
}

/// The statements that begin at the start of a line, each on one line, its strings emptied and its comments left
/// out. The body of a block is indented, and so not among them.
fn statements(source: &str) -> Vec<String> {
    let mut scan = Scan::default();
    let mut rest = source;
    while let Some(next) = rest.chars().next() {
        rest = scan.step(rest, next);
    }
    scan.end_line();
    scan.statements
}

#[derive(Default)]
struct Scan {
    statements: Vec<String>,
    line: String,
    /// Brackets that are open: until they are closed, an end of a line ends nothing.
    open: usize,
}

impl Scan {
    /// Takes what begins with `next`, and returns what follows it.
    fn step<'a>(&mut self, rest: &'a str, next: char) -> &'a str {
        match next {
            '#' => &rest[rest.find('\n').unwrap_or(rest.len())..],
            '"' | '\'' => {
                self.line.push(next);
                self.line.push(next);
                after_string(rest, next)
            }
            '\\' => {
                self.line.push(' ');
                rest[1..].trim_start_matches('\r').strip_prefix('\n').unwrap_or(&rest[1..])
            }
            '\n' if self.open == 0 => {
                self.end_line();
                &rest[1..]
            }
            _ => {
                match next {
                    '(' | '[' | '{' => self.open += 1,
                    ')' | ']' | '}' => self.open = self.open.saturating_sub(1),
                    _ => {}
                }
                self.line.push(if next == '\n' { ' ' } else { next });
                &rest[next.len_utf8()..]
            }
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if !line.trim().is_empty() && !line.starts_with([' ', '\t']) {
            self.statements.push(line.trim_end().to_owned());
        }
    }
}

/// What follows the string that `text` begins with, in three quotes or in one. One of one quote ends with its
/// line at the latest.
fn after_string(text: &str, quote: char) -> &str {
    let three: String = std::iter::repeat_n(quote, 3).collect();
    let is_long = text.starts_with(&three);
    let mut rest = if is_long { &text[3..] } else { &text[1..] };
    while let Some(next) = rest.chars().next() {
        if is_long && rest.starts_with(&three) {
            return &rest[3..];
        }
        if !is_long && next == quote {
            return &rest[1..];
        }
        if !is_long && next == '\n' {
            return rest;
        }
        rest = &rest[next.len_utf8()..];
        if next == '\\' {
            rest = rest.chars().next().map_or(rest, |escaped| &rest[escaped.len_utf8()..]);
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names that are bound, with how they are called: `app=wsgi`.
    fn bound(source: &str) -> String {
        let text = |binding: Binding| match binding.interface {
            Some(Interface::Asgi) => format!("{}=asgi", binding.name),
            Some(Interface::Wsgi) => format!("{}=wsgi", binding.name),
            None => binding.name,
        };
        bindings(source).into_iter().map(text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn applications_are_bound_in_many_ways() {
        for (source, expected) in [
            ("app = Flask(__name__)", "app=wsgi"),
            ("app=flask.Flask (__name__)", "app=wsgi"),
            ("app: FastAPI = FastAPI(\n  title='x',\n)\n", "app=asgi"),
            ("application = app = Starlette(routes=[])", "application=asgi app=asgi"),
            ("application = get_wsgi_application()", "application=wsgi"),
            ("app = falcon.asgi.App()", "app=asgi"),
            ("app = falcon.App()", "app=wsgi"),
            ("app = create_app()", "app"),
            ("app = \\\n  Flask(__name__)", "app=wsgi"),
            ("async def app(scope, receive, send):\n    pass", "app=asgi"),
            ("def application(environ, start_response):\n    return []", "application=wsgi"),
            (
                "async def app(\n  scope: dict[str, Any], receive: F[[A], B], send,\n):\n    pass",
                "app=asgi",
            ),
            ("app = Slack(App())", "app"),
            ("from shop import app", "app"),
            ("from shop import (\n  db,\n  app as application,\n)", "db application"),
        ] {
            assert_eq!(bound(source), expected, "{source}");
        }
    }

    #[test]
    fn what_is_not_bound_at_the_top_level_is_not_found() {
        for source in [
            "# app = Flask(__name__)",
            "'''\napp = Flask(__name__)\n'''",
            "\"\"\" it's \\\"\"\"\napp = Flask(__name__)\n\"\"\"",
            "if x:\n    app = Flask(__name__)",
            "f(\napp = Flask(__name__)\n)",
            "app == Flask(__name__)",
            "def app():\n    return Flask(__name__)",
            "async def app(request):\n    pass",
            "app.debug = True",
            "app['x'] = 1",
            "print('app = Flask()')",
            "x = 'unfinished\n    app = 1",
        ] {
            assert!(!bound(source).split(' ').any(|name| name.starts_with("app")), "{source}");
        }
    }

    #[test]
    fn what_follows_a_string_or_a_comment_is_found() {
        for before in ["'''a'''", "r'\\'", "x = \"#\" # \"", "'it\\'s'", "{'a': \"}\"}", "x = ''"] {
            assert_eq!(
                bound(&format!("{before}\napp = Flask(__name__)")).split(' ').next_back(),
                Some("app=wsgi"),
                "{before}"
            );
        }
    }
}
