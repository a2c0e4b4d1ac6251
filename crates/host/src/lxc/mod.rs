//! LXC: templates made from images, instances cloned from templates, and the list of what runs.

mod apparmor;
mod containers;
mod error;
pub mod fake;
mod image;
mod inventory;
mod launch_lock;
mod layer;
mod mounts;
mod output;
mod ownership;
mod profile;
mod secrets;
mod shared_folder;
mod start;
mod template;
mod way_out;

pub use apparmor::remove_profiles;
pub use containers::{Containers, LxcContainers};
pub use error::ContainerError;
pub use image::{Image, ImageError, ImageStart, Recipe, programs_of_recipes, remove_other_images};
pub use inventory::{Container, ContainerState, container_states};
pub use layer::remove_layers;
pub use output::OutputPipes;
pub(crate) use secrets::given_to_templates;
pub use secrets::remove_secrets;
pub use shared_folder::{
    close_shared_folders, ensure_shared_folder, remove_shared_folder, shared_folders_below,
};
pub use template::{TemplateError, TemplateStore};
