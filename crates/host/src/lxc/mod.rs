//! LXC: templates made from images, instances cloned from templates, and the list of what runs.

mod apparmor;
mod containers;
mod cpu_share;
mod error;
pub mod fake;
mod folder_mark;
mod id_mapped;
mod image;
mod image_error;
mod image_file;
mod images;
mod inventory;
mod launch_lock;
mod layer;
mod merged;
mod mounts;
pub(crate) mod one_run;
mod output;
mod own_files;
mod ownership;
mod profile;
mod recipe_file;
mod release;
mod secrets;
mod shared_folder;
mod stack;
mod start;
mod template;
mod template_error;
mod way_out;

pub use apparmor::remove_profiles;
pub use containers::{Containers, Launch, LxcContainers};
pub use error::ContainerError;
pub use image::{Image, Recipe, other_images, programs_of_recipes, remove_other_images};
pub use image_error::ImageError;
pub(crate) use images::{Draft, ensure_closed};
pub use images::{close_images, remove_image};
pub use inventory::{Container, ContainerState, container_states};
pub use layer::remove_layers;
pub(crate) use mounts::is_mounted;
pub use mounts::remove_unmounted;
pub use output::OutputPipes;
pub use recipe_file::ImageStart;
pub use release::{Release, ReleaseStatus};
pub(crate) use secrets::given_to_templates;
pub use secrets::remove_secrets;
pub use shared_folder::{
    close_shared_folders, ensure_shared_folder, remove_shared_folder, shared_folders_below,
};
pub use template::{Mounts, TemplateStore};
pub use template_error::TemplateError;
