//! What a size stood for when a service was deployed: versions that are kept stay what they were, whatever becomes
//! of the host's sizes.

use model::service::ServiceSpec;

/// A service's file with the figures of its instances, and their price if there is one, in the place of their size.
/// One that says them itself stays as it is written.
pub fn with_figures(text: &str, spec: &ServiceSpec) -> String {
    let instance = &spec.instance;
    let Ok(mut file) = text.parse::<toml::Table>() else { return text.to_owned() };
    let Some(toml::Value::Table(table)) = file.get_mut("instance") else { return text.to_owned() };
    let mut figures = toml::Table::new();
    figures.insert("memory_mib".to_owned(), i64::from(instance.memory_mib).into());
    figures.insert("cpus".to_owned(), instance.cpus.into());
    figures.insert("processes".to_owned(), i64::from(instance.processes).into());
    figures.extend(
        instance.cpu_weight.map(|weight| ("cpu_weight".to_owned(), i64::from(weight).into())),
    );
    figures.extend(spec.price_per_hour.map(|price| ("price_per_hour".to_owned(), price.into())));
    let says_all = figures.keys().all(|key| table.contains_key(key));
    if table.remove("size").is_none() && says_all {
        return text.to_owned();
    }
    table.extend(figures);
    toml::to_string(&file).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use model::service::{RawService, ServiceSpec};
    use model::size::Sizes;

    use super::*;

    const STORE: &str = include_str!("../../../../services/object-store.toml");

    #[test]
    fn a_file_that_says_its_figures_stays_as_it_is() {
        let spec: ServiceSpec = config_file::from_toml("a.toml", STORE).unwrap();
        assert_eq!(with_figures(STORE, &spec), STORE);
    }

    #[test]
    fn the_price_of_a_size_is_written_down_with_it() {
        let figures = ["memory_mib = 128", "cpus = 1.0", "processes = 64"];
        let sized = figures.iter().fold(STORE.to_owned(), |text, line| text.replacen(line, "", 1));
        let sizes = "[small]\ncpus = 0.5\nmemory_mib = 128\nprocesses = 64\nprice_per_hour = 0.02";
        let sizes = Sizes::with(toml::from_str(sizes).unwrap()).unwrap();
        let check = |raw: RawService| raw.checked(&sizes);
        let spec = config_file::from_toml_with("a.toml", &sized, check).unwrap();
        let told: ServiceSpec =
            config_file::from_toml("a.toml", &with_figures(&sized, &spec)).unwrap();
        assert_eq!((told.price_per_hour, told.instance), (Some(0.02), spec.instance));
    }

    #[test]
    fn a_size_becomes_its_figures_whatever_the_host_calls_so_later() {
        let sized = STORE.replacen("memory_mib = 128", "size = \"own\"", 1);
        let sizes = "[own]\ncpus = 4\ncpu_weight = 50\nmemory_mib = 96\nprocesses = 9";
        let sizes = Sizes::with(toml::from_str(sizes).unwrap()).unwrap();
        let check = |raw: RawService| raw.checked(&sizes);
        let spec = config_file::from_toml_with("a.toml", &sized, check).unwrap();
        let told: ServiceSpec =
            config_file::from_toml("a.toml", &with_figures(&sized, &spec)).unwrap();
        assert_eq!(told.instance, spec.instance);
        let figures = (spec.instance.memory_mib, spec.instance.cpus, spec.instance.cpu_weight);
        assert_eq!(figures, (96, 1.0, Some(50)));
    }
}
