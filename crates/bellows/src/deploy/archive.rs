//! An application that came as an archive by the API: it is laid out, and deployed as a folder is.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use ::application::{Bounds, unpack};
use anyhow::Context as _;
use flate2::read::MultiGzDecoder;
use host::deployments::by_api;
use host::deploys::Deploys;
use host::jobs::{DeployWords, Work};
use host::settings::Settings;
use model::job::Stage;

use super::{application, check, lay_out, told};
use crate::job::Running;

/// Lays out the archive of a job, and deploys what is in it under the job's name; gives what serves then.
///
/// # Errors
/// With all that is wrong with it, before anything is made of it.
pub(crate) async fn from_archive(
    settings: &Settings,
    running: &mut Running,
    is_gzip: bool,
    replaces: bool,
) -> anyhow::Result<String> {
    running.enter(Stage::Begin)?;
    let service = running.service()?;
    let folder = running.files.unpacked();
    lay_open(&running.files.archive(), &folder, is_gzip)
        .with_context(|| format!("{service} is not deployed"))?;
    let mut application = application::load(&folder, Some(&service), &settings.sizes)?;
    application.folder = by_api().to_owned();
    told::tell(&application);
    check::check(settings, &application, replaces)?;
    lay_out(&application, &Deploys::new(&settings.paths.state).of(&service))?;
    running.files.remove_archive()?;
    let words = DeployWords {
        folder: application.folder,
        file: application.file,
        says_health: application.says_health,
        command: application.command,
        replaces,
    };
    running.job.work = Work::Deploy(words.clone());
    super::carry_out(settings, running, words).await
}

/// Lays out what somebody sent in a folder of its own, within the bounds of an application.
fn lay_open(archive: &Path, folder: &Path, is_gzip: bool) -> anyhow::Result<()> {
    let open = File::open(archive).context("what was sent is gone: send it again")?;
    let open = BufReader::new(open);
    let from: Box<dyn Read> =
        if is_gzip { Box::new(MultiGzDecoder::new(open)) } else { Box::new(open) };
    let contents = unpack(from, folder, Bounds::default())?;
    anyhow::ensure!(
        contents.iter().next().is_some(),
        "the archive holds nothing: pack the files of the application"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use ::application::{pack, read};
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// What is told of an archive with this text.
    fn opened(bytes: &[u8], is_gzip: bool) -> Result<Vec<String>, String> {
        let root = tempfile::tempdir().unwrap();
        let (archive, folder) = (root.path().join("archive"), root.path().join("folder"));
        fs::write(&archive, bytes).unwrap();
        lay_open(&archive, &folder, is_gzip).map_err(|error| format!("{error:#}"))?;
        let names = fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name());
        Ok(names.map(|name| name.into_string().unwrap()).collect())
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    /// An archive of one entry whose header is written byte by byte, as no program of ours would.
    fn entry(name: &str, kind: u8, size: u64) -> Vec<u8> {
        let mut header = [0_u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..107].copy_from_slice(b"0000644");
        header[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
        header[156] = kind;
        header[257..265].copy_from_slice(b"ustar  \0");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        [&header[..], &[0; 1024]].concat()
    }

    #[test]
    fn an_archive_as_a_folder_is_packed_is_laid_out_compressed_or_not() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("index.html"), "hello").unwrap();
        let found = read(folder.path(), Bounds::default()).unwrap();
        let mut tar = Vec::new();
        pack(&found, &mut tar).unwrap();
        assert_eq!(opened(&tar, false).unwrap(), ["index.html"]);
        assert_eq!(opened(&gzip(&tar), true).unwrap(), ["index.html"]);
    }

    #[test]
    fn what_is_no_archive_leads_out_or_is_too_large_is_refused_with_what_to_do() {
        for (bytes, is_gzip, told) in [
            (b"no archive at all".to_vec(), false, "the archive cannot be read to its end"),
            (b"no archive at all".to_vec(), true, "the archive cannot be read to its end"),
            (
                gzip(&entry("a", b'0', 0))[..40].to_vec(),
                true,
                "the archive cannot be read to its end",
            ),
            (Vec::new(), false, "the archive holds nothing"),
            (gzip(&[0; 1024]), true, "the archive holds nothing"),
            (entry("../etc/passwd", b'0', 0), false, "the archive holds \"../etc/passwd\""),
            (entry("/etc/passwd", b'0', 0), false, "the archive holds \"/etc/passwd\""),
            (entry("device", b'3', 0), false, "which is of kind"),
            (entry("large", b'0', 600 << 20), false, "the archive holds more than 536870912 bytes"),
        ] {
            let error = opened(&bytes, is_gzip).unwrap_err();
            assert!(error.contains(told), "{told}: {error}");
        }
    }
}
