//! What a template was made of, as it is written down in it: an application's image can be made into another template
//! when nothing is left of its folder but that.

use std::fs;
use std::io;
use std::path::Path;

use model::names::TemplateName;

use super::image::Image;
use super::template::TemplateStore;
use crate::command::Runner;
use crate::files::{FileError, file_error};

/// The file of a template that says which image it was made of.
const FILE: &str = "image.json";

/// Writes it down in the draft of a template.
pub(super) fn write(draft: &Path, image: &Image) -> Result<(), FileError> {
    let file = draft.join(FILE);
    let text = serde_json::to_vec(image).map_err(io::Error::from);
    text.and_then(|text| fs::write(&file, text)).map_err(file_error("write", &file))
}

/// The image of a template in this folder; `None` where a release before made it, or where something of the image is
/// gone.
fn read(template: &Path) -> Result<Option<Image>, FileError> {
    let file = template.join(FILE);
    let text = match fs::read(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(file_error("read", &file))?,
    };
    let image: Option<Image> = serde_json::from_slice(&text).ok();
    Ok(image.filter(|image| image.stack().iter().all(|folder| folder.is_dir())))
}

impl<R: Runner> TemplateStore<R> {
    /// The image that a template was made of; `None` where that is not known, or is not there any more.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn image(&self, template: &TemplateName) -> Result<Option<Image>, FileError> {
        read(&self.folder(template))
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::lxc::ImageStart;

    #[test]
    fn an_image_is_known_again_while_all_of_it_is_there() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(read(root.path()).unwrap(), None);
        let [folder, base] = ["files", "base"].map(|name| root.path().join(name));
        let image = Image {
            folder: folder.clone(),
            bases: vec![base.clone()],
            digest: "1f".to_owned(),
            start: ImageStart::Application {
                command: vec!["python3".to_owned()],
                environment: [("PATH".to_owned(), "/bin".to_owned())].into(),
                working_folder: "/srv/app".to_owned(),
            },
        };
        write(root.path(), &image).unwrap();
        assert_eq!(read(root.path()).unwrap(), None, "its folders are gone");
        for folder in [&folder, &base] {
            fs::create_dir(folder).unwrap();
        }
        assert_eq!(read(root.path()).unwrap(), Some(image));
        fs::write(root.path().join(FILE), "{").unwrap();
        assert_eq!(read(root.path()).unwrap(), None);
    }
}
