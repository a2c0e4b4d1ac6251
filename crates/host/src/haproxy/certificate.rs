//! The certificate with which HAProxy speaks HTTPS: a copy that was checked, so that whatever becomes
//! of the files that the operator keeps, HAProxy can be started and reloaded.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::settings::PlainPath;
use crate::command::{CommandError, CommandLine, HostRunner, Runner};
use crate::files::{FileError, file_error, replace_file};
use crate::settings::TlsSettings;

/// The longest file that is read. A chain of four certificates with its key has some 10 KB.
const MAX_BYTES: u64 = 1 << 20;

/// `haproxy -c` takes 0.1 s.
const CHECK_DEADLINE: Duration = Duration::from_secs(10);

/// What copies are named, before and behind the digest of their content.
const PREFIX: &str = "certificate-";
const SUFFIX: &str = ".pem";

/// A certificate that HAProxy cannot use. The one in use stays.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file of the operator's cannot be read.
    #[error("{} cannot be read; name a PEM file of at most 1 MiB in {key}", file.display())]
    Unreadable {
        /// The key of the settings that names it.
        key: &'static str,
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// There is no certificate in the file.
    #[error("{} has no PEM block CERTIFICATE; name the file of the certificate in tls.certificate", .0.display())]
    NoCertificate(PathBuf),
    /// There is no key, or more than one.
    #[error(
        "{} has {count} private keys; name a PEM file with the one that belongs to the certificate in tls.key, \
         without a passphrase", file.display()
    )]
    Keys {
        /// The file.
        file: PathBuf,
        /// How many there are that can be used.
        count: usize,
    },
    /// HAProxy does not take them.
    #[error("HAProxy refuses the certificate in {}; see that its key belongs to it", file.display())]
    Refused {
        /// The file of the certificate.
        file: PathBuf,
        /// What HAProxy said.
        source: CommandError,
    },
    /// The copy cannot be written.
    #[error(transparent)]
    Copy(#[from] FileError),
}

/// The copy of a certificate and its key that HAProxy reads, whose name tells its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate(PlainPath);

impl Certificate {
    /// The copy.
    pub(super) fn file(&self) -> &PlainPath {
        &self.0
    }

    /// The copy that a configuration names.
    pub(super) fn of_config(config: &str) -> Option<Self> {
        let mut words = config.lines().filter_map(|line| line.split(" ssl crt ").nth(1));
        Some(Self(words.next()?.split(' ').next()?.parse().ok()?))
    }

    /// Copies what the settings name into `folder`, if HAProxy can use it. The copy of the same content
    /// is left as it is.
    ///
    /// # Errors
    /// A file cannot be read, holds something else, or is refused.
    pub(super) async fn copy(
        runner: &impl Runner,
        program: &Path,
        tls: &TlsSettings,
        folder: &Path,
    ) -> Result<Self, CertificateError> {
        let text = read(tls)?;
        let digest = Sha256::digest(&text);
        let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let copy = folder.join(format!("{PREFIX}{digest}{SUFFIX}"));
        if !copy.exists() {
            let draft = folder.join("certificate.draft");
            replace_file(&draft, &text, 0o600).map_err(file_error("write", &draft))?;
            let checked = check(runner, program, &draft, folder).await;
            let kept = checked.map_err(|source| CertificateError::Refused {
                file: tls.certificate.clone(),
                source,
            });
            if let Err(error) = kept {
                // It holds a key, and is of no use.
                let _ = std::fs::remove_file(&draft);
                return Err(error);
            }
            std::fs::rename(&draft, &copy).map_err(file_error("rename", &draft))?;
        }
        // The run folder's path is a plain one, as that of the configuration beside it.
        let plain = copy.to_string_lossy().parse();
        plain.map(Self).map_err(|error: super::HaproxySettingsError| {
            file_error("name", &copy)(io::Error::other(error)).into()
        })
    }

    /// Removes the copies in `folder` but these: no process reads them again once it runs.
    pub(super) fn remove_all_but(kept: &[Self], folder: &Path) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            let name = name.to_string_lossy();
            let is_copy = name.starts_with(PREFIX) && name.ends_with(SUFFIX);
            if is_copy && kept.iter().all(|certificate| certificate.0.as_path() != path) {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

/// Whether HAProxy, started as `program`, can use what the settings name.
///
/// # Errors
/// A file cannot be read, holds something else, or is refused.
pub async fn check_certificate(program: &Path, tls: &TlsSettings) -> Result<(), CertificateError> {
    let parent = std::env::temp_dir();
    let folder = tempfile::tempdir().map_err(file_error("make a folder in", &parent))?;
    Certificate::copy(&HostRunner, program, tls, folder.path()).await.map(drop)
}

/// Has HAProxy itself read the copy, with nothing else around it.
async fn check(
    runner: &impl Runner,
    program: &Path,
    copy: &Path,
    folder: &Path,
) -> Result<(), CommandError> {
    let config = folder.join("certificate.cfg");
    let text = format!(
        "defaults\n    mode http\n    timeout client 1s\nfrontend check\n    bind 127.0.0.1:1 ssl crt {}\n",
        copy.display()
    );
    // Without it HAProxy says what is missing.
    let _ = replace_file(&config, text, 0o600);
    let command = CommandLine::new(program).args(["-c", "-f"]).arg(&config);
    let checked = runner.run(&command.deadline(CHECK_DEADLINE)).await;
    let _ = std::fs::remove_file(config);
    checked.map(drop)
}

/// The certificates, in their order, and the key.
fn read(tls: &TlsSettings) -> Result<String, CertificateError> {
    let text = read_file("tls.certificate", &tls.certificate)?;
    let mut certificates = blocks(&text, "CERTIFICATE");
    if certificates.is_empty() {
        return Err(CertificateError::NoCertificate(tls.certificate.clone()));
    }
    let (file, text) = match &tls.key {
        Some(file) => (file, read_file("tls.key", file)?),
        None => (&tls.certificate, text),
    };
    let labels = ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"];
    let keys: Vec<_> = labels.iter().flat_map(|label| blocks(&text, label)).collect();
    match keys.as_slice() {
        // What a passphrase guards begins with two more lines.
        [key] if !key.contains("ENCRYPTED") => certificates.push(key.clone()),
        [_] => return Err(CertificateError::Keys { file: file.clone(), count: 0 }),
        keys => return Err(CertificateError::Keys { file: file.clone(), count: keys.len() }),
    }
    Ok(certificates.concat())
}

fn read_file(key: &'static str, file: &Path) -> Result<String, CertificateError> {
    let text = || -> io::Result<String> {
        let mut text = String::new();
        std::fs::File::open(file)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
        if text.len() as u64 > MAX_BYTES {
            Err(io::ErrorKind::FileTooLarge.into())
        } else {
            Ok(text)
        }
    };
    text().map_err(|source| CertificateError::Unreadable { key, file: file.to_owned(), source })
}

/// The PEM blocks of a label (RFC 7468), without the text around them.
fn blocks(text: &str, label: &str) -> Vec<String> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in text.lines().map(str::trim_end) {
        if line == begin {
            block = Some(String::new());
        }
        if let Some(block) = &mut block {
            block.push_str(line);
            block.push('\n');
        }
        if line == end {
            blocks.extend(block.take());
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n";

    fn settings(folder: &Path, certificate: &str, key: Option<&str>) -> TlsSettings {
        let [file, key_file] = ["c.pem", "k.pem"].map(|name| folder.join(name));
        std::fs::write(&file, certificate).unwrap();
        if let Some(key) = key {
            std::fs::write(&key_file, key).unwrap();
        }
        let listen = "127.0.0.1:8443".parse().unwrap();
        TlsSettings { listen, certificate: file, key: key.map(|_| key_file) }
    }

    #[test]
    fn certificates_and_key_are_read_from_one_file_or_two_and_the_text_between_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = format!("{CERTIFICATE}{CERTIFICATE}{KEY}");
        let one = format!("Subject: a\n{KEY}\r\n{CERTIFICATE}\n\nIssuer: b\n{CERTIFICATE}");
        assert_eq!(read(&settings(folder.path(), &one, None)).unwrap(), wanted);
        let chain = format!("{CERTIFICATE}{CERTIFICATE}").replace('\n', "\r\n");
        assert_eq!(read(&settings(folder.path(), &chain, Some(KEY))).unwrap(), wanted);
    }

    #[test]
    fn what_is_no_certificate_with_its_key_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let said = |certificate: &str, key: Option<&str>| {
            let error = read(&settings(folder.path(), certificate, key)).unwrap_err().to_string();
            error.replace(&folder.path().display().to_string(), "/etc")
        };
        insta::assert_snapshot!(said("", None), @"/etc/c.pem has no PEM block CERTIFICATE; name the file of the certificate in tls.certificate");
        insta::assert_snapshot!(said(CERTIFICATE, None), @"/etc/c.pem has 0 private keys; name a PEM file with the one that belongs to the certificate in tls.key, without a passphrase");
        let two = format!("{KEY}{}", KEY.replace("PRIVATE", "EC PRIVATE"));
        insta::assert_snapshot!(said(CERTIFICATE, Some(&two)), @"/etc/k.pem has 2 private keys; name a PEM file with the one that belongs to the certificate in tls.key, without a passphrase");
        let guarded = KEY.replace("-----\nM", "-----\nProc-Type: 4,ENCRYPTED\n\nM");
        assert!(said(CERTIFICATE, Some(&guarded)).contains("without a passphrase"));
        let long = "x".repeat(usize::try_from(MAX_BYTES).unwrap() + 1);
        insta::assert_snapshot!(said(&long, None), @"/etc/c.pem cannot be read; name a PEM file of at most 1 MiB in tls.certificate");
        let mut missing = settings(folder.path(), CERTIFICATE, None);
        missing.key = Some(folder.path().join("none"));
        assert!(matches!(read(&missing), Err(CertificateError::Unreadable { key: "tls.key", .. })));
    }

    #[test]
    fn the_copy_in_use_is_known_by_the_configuration() {
        let config =
            "frontend x\n    bind \"${A}\" ssl crt /run/b/certificate-0a.pem alpn http/1.1\n";
        let copy = Certificate::of_config(config).unwrap();
        assert_eq!(copy.file().as_path(), Path::new("/run/b/certificate-0a.pem"));
        assert_eq!(Certificate::of_config("bind \"${A}\"\n"), None);
    }
}
