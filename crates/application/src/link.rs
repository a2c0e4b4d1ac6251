//! Where symbolic links may lead.

use crate::path::EntryPath;

/// Whether a link at `path` with this target leads to a place in the application's folder, or to nothing
/// there, whatever other such links there are on the way.
///
/// The target may go up by `..` first, from the folder that holds the link, which is none itself, and then down
/// alone. A `..` after a name could go up from wherever a link of that name leads: with `a/b/c -> ../../d`, the
/// target `a/b/c/../../e` looks like `a/e`, and leads above the folder.
pub(crate) fn stays_inside(path: &EntryPath, target: &str) -> bool {
    let depth = path.as_str().split('/').count() - 1;
    let names: Vec<&str> = target.split('/').filter(|name| !matches!(*name, "" | ".")).collect();
    let ups = names.iter().take_while(|name| **name == "..").count();
    let goes_up_again = names[ups..].contains(&"..");
    let absolute = target.starts_with('/');
    let plain = !target.is_empty() && !target.chars().any(char::is_control);
    plain && !absolute && ups <= depth && !goes_up_again
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_up_as_far_as_its_folder_is_deep_and_then_down() {
        let stays =
            |path: &str, target| stays_inside(&EntryPath::new(path.as_bytes()).unwrap(), target);
        for (path, target) in [
            ("a", "b"),
            ("a", "./b//c/."),
            ("a", "nowhere"),
            ("a", "."),
            ("d/a", "../b"),
            ("d/a", ".."),
            ("d/e/a", "./.././../b"),
        ] {
            assert!(stays(path, target), "{path} -> {target}");
        }
        for (path, target) in [
            ("a", ""),
            ("a", ".."),
            ("a", "/etc/passwd"),
            ("a", "../b"),
            ("d/a", "../../b"),
            ("a", "b/../../c"),
            ("a", "b/../c"),
            ("a", "b\n"),
        ] {
            assert!(!stays(path, target), "{path} -> {target}");
        }
    }
}
