//! What is told of an application before anything is made of it.

use command_line::terminal;
use model::output::harmless;
use model::service::ServiceSpec;

use super::application::Application;

/// Says what was found and chosen, and what stays out.
pub(super) fn tell(application: &Application) {
    terminal::print_line(application.folder.display());
    let notes = application.notes.iter().map(ToString::to_string);
    let asked = asked(&application.spec).into_iter();
    for line in notes.chain(asked).chain(application.found.left_out.lines()) {
        terminal::print_line(format_args!("  {}", harmless(&line)));
    }
}

/// What its own file asks of the host and of others, beside what every service gets.
fn asked(spec: &ServiceSpec) -> Vec<String> {
    let instance = &spec.instance;
    let list = |names: Vec<String>| names.join(", ");
    let egress = spec.egress.destinations().iter().map(ToString::to_string).collect();
    let mounts = instance.mounts.iter().map(|it| format!("{} at {}", it.source, it.target));
    let asked = [
        ("it may reach, beyond this host,", list(egress)),
        (
            "it may ask the services",
            list(instance.reaches.iter().map(ToString::to_string).collect()),
        ),
        (
            "it is told the secrets",
            list(instance.secrets.iter().map(|it| it.name.to_string()).collect()),
        ),
        ("it has folders of this host:", list(mounts.collect())),
    ];
    let told = asked.into_iter().filter(|(_, what)| !what.is_empty());
    told.map(|(told, what)| format!("{told} {what}.")).collect()
}
