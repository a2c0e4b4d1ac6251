use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

fn grant() -> Grant {
    Grant { rights: [Right::Operate].into(), services: None, lasts: None }
}

fn grant_for(seconds: u64) -> Grant {
    Grant { lasts: Some(TokenTime::from_secs(seconds).unwrap()), ..grant() }
}

fn later(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

fn name(text: &str) -> TokenName {
    text.parse().unwrap()
}

fn names(tokens: &TokensFile) -> Vec<String> {
    tokens.list().iter().map(|token| token.name.to_string()).collect()
}

#[test]
fn a_secret_opens_its_own_token_until_that_is_revoked_and_is_nowhere_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.json");
    let tokens = TokensFile::open(&path).unwrap();
    let b = tokens.make(name("b"), grant(), NOW).unwrap();
    let a = tokens.make(name("a"), grant_for(60), NOW).unwrap();
    let c = tokens.log_in("root", NOW).unwrap().made;
    assert_ne!(a.secret, b.secret);
    let tokens = TokensFile::open(&path).unwrap();
    assert_eq!(tokens.list(), [a.token.clone(), b.token.clone(), c.token.clone()]);
    assert_eq!(tokens.of_secret(&a.secret), Some(a.token.clone()));
    assert_eq!(tokens.of_secret(&c.secret), Some(c.token.clone()));
    for file in [&path, &folder.path().join("ending-tokens.json")] {
        let written = std::fs::read_to_string(file).unwrap();
        for made in [&a, &b, &c] {
            assert!(!written.contains(&made.secret[PREFIX.len()..]));
        }
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    for wrong in ["", PREFIX, &a.secret[..71], &format!("{}0", a.secret), &"x".repeat(9_999)] {
        assert_eq!(tokens.of_secret(wrong), None, "{wrong}");
    }
    assert_eq!(tokens.revoke(&name("a")).unwrap(), Some(a.token));
    assert_eq!(tokens.revoke(&name("a")).unwrap(), None);
    assert_eq!(tokens.of_secret(&a.secret), None);
    assert_eq!(TokensFile::open(&path).unwrap().list(), [b.token, c.token]);
}

#[test]
fn a_name_is_given_once_and_again_once_its_token_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = TokensFile::open(&folder.path().join("tokens.json")).unwrap();
    tokens.make(name("ci"), grant_for(60), NOW).unwrap();
    let error = tokens.make(name("ci"), grant(), later(59)).unwrap_err().to_string();
    assert_eq!(error, "there is a token `ci`: revoke it first, or choose another name");
    let again = tokens.make(name("ci"), grant(), later(60)).unwrap();
    assert_eq!(TokensFile::open(&tokens_path(&folder)).unwrap().list(), [again.token]);
}

fn tokens_path(folder: &tempfile::TempDir) -> std::path::PathBuf {
    folder.path().join("tokens.json")
}

#[test]
fn what_cannot_be_kept_is_not_made_and_not_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = TokensFile::open(&tokens_path(&folder)).unwrap();
    let made = tokens.make(name("ci"), grant(), NOW).unwrap();
    let login = tokens.log_in("root", NOW).unwrap().made;
    drop(folder);
    assert!(matches!(tokens.make(name("b"), grant(), NOW), Err(MakeError::NotWritten(_))));
    assert!(matches!(tokens.log_in("root", NOW), Err(MakeError::NotWritten(_))));
    assert!(tokens.revoke(&name("ci")).is_err());
    assert!(tokens.log_out(&login.token.name).is_err());
    assert!(tokens.forget_ended(later(999_999)).is_err());
    assert_eq!(tokens.of_secret(&made.secret), Some(made.token));
    assert_eq!(tokens.of_secret(&login.secret), Some(login.token));
}

#[test]
fn a_token_that_ended_is_known_as_such_for_a_day_and_then_dropped_from_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = TokensFile::open(&tokens_path(&folder)).unwrap();
    tokens.make(name("stays"), grant(), NOW).unwrap();
    let ends = tokens.make(name("ends"), grant_for(60), NOW).unwrap();
    tokens.make(name("later"), grant_for(3_600), NOW).unwrap();
    let day = 24 * 3_600;
    tokens.forget_ended(later(60 + day - 1)).unwrap();
    let known = tokens.of_secret(&ends.secret).unwrap();
    assert!(known.has_ended(later(60)) && !known.has_ended(later(59)));
    tokens.forget_ended(later(60 + day)).unwrap();
    assert_eq!(tokens.of_secret(&ends.secret), None);
    let tokens = TokensFile::open(&tokens_path(&folder)).unwrap();
    assert_eq!(names(&tokens), ["later", "stays"]);
}

#[test]
fn a_login_says_whose_it_is_in_a_name_within_the_bounds_and_ends_after_half_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = TokensFile::open(&tokens_path(&folder)).unwrap();
    for (user, shown) in [
        ("root", "browser-of-root-"),
        ("Anna_B.", "browser-of-anna-b--"),
        ("a-very-long-name-of-a-user", "browser-of-a-very-long-n-"),
        ("3999999999", "browser-of-3999999999-"),
        ("zoë", "browser-of-zo--"),
    ] {
        let token = tokens.log_in(user, NOW).unwrap().made.token;
        let end = token.name.as_str().strip_prefix(shown).unwrap_or_else(|| panic!("{token:?}"));
        assert!(end.len() == 6 && end.bytes().all(|it| it.is_ascii_hexdigit()), "{end}");
        assert_eq!((token.rights, token.services), ([Right::All].into(), None));
        assert_eq!(token.expires_at, Some(later(12 * 3_600)));
    }
}

#[test]
fn of_too_many_logins_the_oldest_goes_and_no_other_token() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = TokensFile::open(&tokens_path(&folder)).unwrap();
    let other = tokens.make(name("ci"), grant_for(60), NOW).unwrap();
    // Ended, and so in nobody's way.
    tokens.log_in("root", NOW.before(TokenTime::OF_A_LOGIN.span())).unwrap();
    let of = |at: u64| tokens.log_in("root", later(at)).unwrap();
    let first = of(0);
    for at in 1..32 {
        assert!(of(at).gone.is_empty(), "{at}");
    }
    let last = of(32);
    assert_eq!(last.gone, [first.made.token]);
    assert_eq!(tokens.of_secret(&first.made.secret), None);
    assert!(tokens.of_secret(&last.made.secret).is_some());
    assert!(tokens.of_secret(&other.secret).is_some());
}

#[test]
fn too_many_tokens_are_none_while_some_of_them_have_ended() {
    let folder = tempfile::tempdir().unwrap();
    let path = tokens_path(&folder);
    let kept = |number: usize| Kept {
        token: Token {
            name: name(&format!("t{number}")),
            rights: [Right::Read].into(),
            services: None,
            made_at: NOW,
            expires_at: Some(later(60)),
        },
        sha256: SecretDigest::of(&number.to_string()),
        of_a_login: false,
    };
    let all: Vec<Kept> = (0..MOST).map(kept).collect();
    let text = serde_json::to_vec(&all).unwrap();
    std::fs::write(folder.path().join("ending-tokens.json"), text).unwrap();
    let tokens = TokensFile::open(&path).unwrap();
    assert!(matches!(tokens.make(name("ci"), grant(), NOW), Err(MakeError::TooMany)));
    assert!(matches!(tokens.log_in("root", NOW), Err(MakeError::TooMany)));
    tokens.make(name("ci"), grant(), later(60)).unwrap();
    assert_eq!(names(&tokens), ["ci"]);
}

/// What the release before had in its one file, read by its own words: it knew no `expires_at_ms` and passed over it, so
/// that a token that ends would have had no end there.
#[test]
fn a_release_before_reads_what_it_wrote_itself_and_nothing_that_ends() {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct KeptBefore {
        token: TokenBefore,
        sha256: String,
    }
    #[derive(serde::Deserialize)]
    struct TokenBefore {
        name: TokenName,
    }
    let folder = tempfile::tempdir().unwrap();
    let path = tokens_path(&folder);
    let digest = "ab".repeat(32);
    let before = format!(
        r#"[{{"token":{{"name":"old","rights":["read"],"services":null,"made_at_ms":1}},"sha256":"{digest}"}}]"#
    );
    std::fs::write(&path, before).unwrap();
    let tokens = TokensFile::open(&path).unwrap();
    assert_eq!(names(&tokens), ["old"]);
    tokens.make(name("new"), grant(), NOW).unwrap();
    tokens.make(name("ends"), grant_for(60), NOW).unwrap();
    tokens.log_in("root", NOW).unwrap();
    let read: Vec<KeptBefore> = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let known: Vec<_> = read.iter().map(|kept| kept.token.name.as_str()).collect();
    assert_eq!(known, ["new", "old"]);
    assert!(read.iter().all(|kept| kept.sha256.len() == 64));
}

#[test]
fn where_a_release_before_gave_a_name_again_the_token_that_ends_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = tokens_path(&folder);
    let ends = TokensFile::open(&path).unwrap().make(name("ci"), grant_for(60), NOW).unwrap();
    let other = tempfile::tempdir().unwrap();
    let made = TokensFile::open(&tokens_path(&other)).unwrap().make(name("ci"), grant(), NOW);
    std::fs::copy(tokens_path(&other), &path).unwrap();
    let tokens = TokensFile::open(&path).unwrap();
    assert_eq!(tokens.list(), [made.unwrap().token]);
    assert_eq!(tokens.of_secret(&ends.secret), None);
}

#[test]
fn a_file_that_says_more_than_is_known_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = tokens_path(&folder);
    TokensFile::open(&path).unwrap().log_in("root", NOW).unwrap();
    let file = folder.path().join("ending-tokens.json");
    let mut kept: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    kept[0]["only_from"] = "10.0.0.1".into();
    std::fs::write(&file, kept.to_string()).unwrap();
    let error = TokensFile::open(&path).unwrap_err().to_string();
    assert!(error.contains("ending-tokens.json") && error.contains("only_from"), "{error}");
}
